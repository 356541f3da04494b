//! block_on: webserver2 with an application that waits a second, in a future.
//!
//!     cargo run --bin block_on -- module:callable [ADDRESS]
//!
//! Visit it, and look at what the wait costs: `ps -o cputime` of the server stands
//! still, while `time curl` says that a second has passed.

use clap::Parser;
use gateway::connection::{print_request, Connection};
use gateway::http::Limits;
use gateway::log::{complain, print};
use gateway::options::{self, cannot_bind};
use gateway::{respond, Application};
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::{pin, Pin};
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

const SOFTWARE: &str = "block_on"; // what the answers name as their server
const PAUSE: Duration = Duration::from_millis(100); // after an error of accept
const WAIT: Duration = Duration::from_secs(1); // before each answer

/// webserver2 with an application that waits a second, in a future
#[derive(Parser)]
#[command(name = SOFTWARE, version)]
struct Options {
    /// The application, module:callable: wsgiapp:app is one
    application: String,
    /// Where to listen
    #[arg(default_value = "127.0.0.1:8888")]
    address: String,
    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    options::main(run)
}

fn run(options: Options) -> gateway::Result<()> {
    let application = patient(apps::load(&options.application)?);
    apps::finish_on_signals();
    let served = serve_forever(&options, &application);
    apps::finish();
    Ok(served?)
}

fn serve_forever(options: &Options, application: &dyn Application) -> io::Result<()> {
    let address = options.address.as_str();
    let listener = TcpListener::bind(address).map_err(|error| cannot_bind(address, error))?;
    let address = listener.local_addr()?;
    print(format!("Serving HTTP on http://{address}/ ...\n").as_bytes());

    loop {
        match listener.accept() {
            Ok((connection, peer)) => {
                let connection = Connection::new(connection, peer);
                let answered =
                    connection.answer(&options.limits, print_request, |request, output| {
                        let environ = request.environ(address, SOFTWARE);
                        respond(application, environ, output)
                    });
                if let Err(error) = answered {
                    complain(format!("{peer}: {error}"));
                }
            }
            // A client that left while it waited, or something that may pass.
            Err(error) => {
                complain(format!("accept: {error}"));
                thread::sleep(PAUSE);
            }
        }
    }
}

/// `application`, after a wait.
fn patient(application: impl Application) -> impl Application {
    gateway::application(move |environ, start_response| {
        block_on(Alarm::after(WAIT));
        application.call(environ, start_response)
    })
}

// ANCHOR: alarm
/// A future that is ready when its time has come. A thread looks at the clock.
struct Alarm {
    end: Instant,
    is_set: bool,
}

impl Alarm {
    fn after(wait: Duration) -> Alarm {
        let end = Instant::now() + wait;
        Alarm { end, is_set: false }
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        if !self.is_set {
            let waker = context.waker().clone();
            thread::spawn(move || {
                thread::sleep(left);
                waker.wake();
            });
            self.is_set = true;
        }
        Poll::Pending
    }
}
// ANCHOR_END: alarm

/// Polls until the future is ready, and sleeps in between.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Sleeper(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// The thread that sleeps, for the future to wake.
struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
