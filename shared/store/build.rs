//! A new migration is a new build, although no line of code names it.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
