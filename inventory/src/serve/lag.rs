//! How late the server is: the time by which a task that was due runs too late. It needs no figure of what this machine can
//! do; whatever holds the server up, its own work or others', shows here.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How often it is measured.
const EVERY: Duration = Duration::from_millis(20);

/// For ever: tells by how much it was late each time.
pub(super) async fn measure(mut tell: impl FnMut(Duration)) {
    loop {
        let due = Instant::now() + EVERY;
        sleep_until(due).await;
        tell(due.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_holds_the_server_up_shows() {
        let mut told = Vec::new();
        let measured = measure(|lag| told.push(lag));
        let busy = async {
            tokio::task::yield_now().await;
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(100) {
                std::hint::spin_loop();
            }
            tokio::task::yield_now().await;
        };
        tokio::select! {
            () = measured => {}
            () = async { busy.await; tokio::time::sleep(EVERY).await } => {}
        }
        assert!(told.iter().any(|lag| *lag >= Duration::from_millis(60)), "{told:?}");
    }
}
