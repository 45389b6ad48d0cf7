#![no_main]
vigil_fuzz::codec!("jt808");
