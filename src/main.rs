//! Arguments, configuration, sockets, shards and control: the only place that wires.

fn main() {}
