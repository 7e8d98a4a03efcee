//! Waiting for a condition until a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition outside our processes is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Looks until there is something to see; an error that names what did not come.
///
/// For conditions that cannot tell by themselves when they change, such as the state of a page.
pub async fn until<T>(
    what: &str,
    timeout: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s in vain for: {what}", timeout.as_secs());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_come_is_named() {
        let mut looks = 0;
        let found = until("three looks", Duration::from_secs(1), async || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.await.unwrap(), 3);
        let never = until("rain", Duration::ZERO, async || Ok(None::<()>)).await.unwrap_err();
        assert_eq!(never.to_string(), "waited 0 s in vain for: rain");
    }
}
