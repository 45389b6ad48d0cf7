//! Prints the default rules with shipped layers over them, as TOML, for `vigil county --rules` and `vigil judge --rules`:
//!
//!     cargo run -p vigil-engine --example effective -- attended > attended-set.toml

#![expect(clippy::print_stdout, reason = "the rules are its answer")]

use std::process::ExitCode;

use model::layer::{Assigned, Scope, effective};
use model::{ElderId, Time};

fn main() -> ExitCode {
    let shipped = vigil_engine::shipped_layers();
    let mut chosen = Vec::new();
    for name in std::env::args().skip(1) {
        let Some(layer) = shipped.iter().find(|layer| layer.name == name) else {
            let names: Vec<_> = shipped.iter().map(|layer| layer.name.as_str()).collect();
            eprintln!("there is no layer {name}; shipped are {}", names.join(", "));
            return ExitCode::FAILURE;
        };
        let scope = Scope::Elder(ElderId(1));
        chosen.push(Assigned { id: 1, layer, version: 1, scope, who: None, why: "", from: Time(0), until: None });
    }
    let found = effective(&vigil_engine::default_rules(), false, &chosen, Time(1));
    match toml::to_string(&found.set) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
