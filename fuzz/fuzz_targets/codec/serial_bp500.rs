#![no_main]
vigil_fuzz::codec!("serial:bp500");
