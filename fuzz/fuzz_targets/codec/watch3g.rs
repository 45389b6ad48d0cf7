#![no_main]
vigil_fuzz::codec!("watch3g");
