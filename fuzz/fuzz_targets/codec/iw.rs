#![no_main]
vigil_fuzz::codec!("iw");
