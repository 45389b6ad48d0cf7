#![no_main]
vigil_fuzz::codec!("serial:hbp9020");
