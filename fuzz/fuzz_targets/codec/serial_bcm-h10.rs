#![no_main]
vigil_fuzz::codec!("serial:bcm-h10");
