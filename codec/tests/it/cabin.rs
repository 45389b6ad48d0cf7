//! Machines of a health cabin and a laboratory: published vectors and nasty cases.
