//! Locks that never stay poisoned: a panic ends the process.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. No lock of the broker's is held across an await.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
