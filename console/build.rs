//! Makes sure that the folder of the built web app exists, so that the server builds without Node (the page then says
//! how to build the app), and rebuilds this crate when the app was built anew.

fn main() {
    // A read-only source tree without the folder is fine too: `allow_missing` covers it.
    let _exists = std::fs::create_dir_all("web/dist");
    println!("cargo::rerun-if-changed=web/dist");
    println!("cargo::rerun-if-changed=build.rs");
}
