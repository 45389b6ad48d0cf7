#![no_main]
vigil_fuzz::codec!("hl7");
