/** Starts the app. */
import { mount } from "svelte";
import App from "./App.svelte";
import { startBeat } from "./lib/beat";
import "./styles/tokens.css";
import "./styles/base.css";

startBeat();
const target = document.getElementById("app");
if (target) mount(App, { target });
