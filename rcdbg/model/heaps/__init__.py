"""Heaps of other make than buddy_system_allocator's: their free blocks, by the crates' types."""
