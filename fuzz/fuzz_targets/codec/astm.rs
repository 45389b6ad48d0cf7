#![no_main]
vigil_fuzz::codec!("astm");
