//! Points in time that cannot overflow.

use std::time::Duration;

use tokio::time::Instant;

/// The moment `after` from now. A host says "never" with [`Duration::MAX`], which no clock can add.
pub(crate) fn deadline(after: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(after).unwrap_or_else(|| now + FAR)
}
