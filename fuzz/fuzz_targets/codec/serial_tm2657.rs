#![no_main]
vigil_fuzz::codec!("serial:tm2657");
