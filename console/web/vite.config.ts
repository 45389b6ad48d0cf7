// Build of the web app. Old Chromium shells are the floor (Windows 7 ends at 109), hence the target; Svelte's `:where` needs 88.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

const api = process.env.VIGIL_API ?? "http://127.0.0.1:8091";

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: "chrome87",
    cssTarget: "chrome87",
    // The strict CSP allows no data: or inline code; every asset is a hashed file of its own.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: { proxy: { "/api": api, "/mock": api } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
