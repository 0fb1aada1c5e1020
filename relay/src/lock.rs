//! Taking a mutex in a program whose panics abort.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. Poison is no news here: a panic ends the process before anyone could meet it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
