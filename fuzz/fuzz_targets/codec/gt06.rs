#![no_main]
vigil_fuzz::codec!("gt06");
