#![no_main]
vigil_fuzz::codec!("ble:2aa7");
