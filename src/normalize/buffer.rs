//! Recycled memory for large bodies.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

/// A few large blocks, used again.
///
/// A fresh block of a megabyte costs more in page faults than everything else the gateway does with it.
#[derive(Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// Smaller blocks are cheap to get from the allocator.
pub(super) const LARGE: usize = 128 << 10;
/// A block that grew past this is given back to the allocator.
const HUGE: usize = 4 << 20;
/// How much is kept: what is not, each thread's part of the allocator keeps for itself.
const KEPT: usize = 16 << 20;

impl Buffers {
    /// An empty block with room for `capacity`.
    pub(super) fn take(&self, capacity: usize) -> Vec<u8> {
        if capacity < LARGE {
            return Vec::with_capacity(capacity);
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = kept.iter().position(|block| block.capacity() >= capacity);
        let block = fits.map(|at| kept.swap_remove(at));
        drop(kept);
        block.unwrap_or_else(|| Vec::with_capacity(capacity.next_multiple_of(LARGE)))
    }

    /// The block's bytes; when the last reader is done, the block comes back.
    pub(super) fn freeze(&self, block: Vec<u8>) -> Bytes {
        if block.capacity() < LARGE { block.into() } else { Bytes::from_owner(Lent { block, home: self.clone() }) }
    }
}

struct Lent {
    block: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.block
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut block = mem::take(&mut self.block);
        if block.capacity() > HUGE {
            return;
        }
        block.clear();
        let mut kept = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().map(Vec::capacity).sum::<usize>() + block.capacity() <= KEPT {
            kept.push(block);
        }
    }
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buffers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_block_comes_back_and_is_empty() {
        let buffers = Buffers::default();
        let mut block = buffers.take(LARGE);
        block.extend_from_slice(b"secret");
        let at = block.as_ptr();
        let bytes = buffers.freeze(block);
        let slice = bytes.slice(2..);
        drop(bytes);
        assert_eq!(buffers.0.lock().unwrap().len(), 0, "still read");
        drop(slice);
        let again = buffers.take(LARGE);
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
    }

    #[test]
    fn huge_and_small_blocks_do_not() {
        let buffers = Buffers::default();
        drop(buffers.freeze(Vec::with_capacity(HUGE + 1)));
        drop(buffers.freeze(vec![1]));
        assert!(buffers.0.lock().unwrap().is_empty());
    }
}
