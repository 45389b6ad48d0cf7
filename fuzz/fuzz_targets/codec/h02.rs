#![no_main]
vigil_fuzz::codec!("h02");
