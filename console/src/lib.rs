//! Vigil console.
