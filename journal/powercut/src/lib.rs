//! Test only: what a disk may look like after a power cut.
