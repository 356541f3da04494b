//! What middleware costs: an application alone, and inside of a hundred layers of
//! three kinds.

use gateway::{respond, validator, Application, Environ, StartResponse};
use std::time::Instant;

type App = Box<dyn Application>;
type Layer = fn(App) -> App;

fn through(app: App) -> App {
    Box::new(gateway::application(move |environ, start| {
        app.call(environ, start)
    }))
}

fn wrapping(app: App) -> App {
    Box::new(gateway::application(move |environ, mut start_response| {
        let started = StartResponse::new(move |s, h, e| start_response.call(s, h, e));
        let body = app.call(environ, started)?;
        Ok(body.wrapped(|body| body))
    }))
}

fn main() {
    let layers: [(&str, Layer); 3] = [
        ("passes it on", through),
        ("wraps both", wrapping),
        ("validator", |app| Box::new(validator(app))),
    ];
    for (name, layer) in layers {
        for count in [0, 100] {
            let bare: App = Box::new(apps::wsgiapp::app);
            let app = (0..count).fold(bare, |app, _| layer(app));
            let start = Instant::now();
            for _ in 0..20_000 {
                respond(&app, Environ::testing_defaults(), std::io::sink());
            }
            println!("{name}, {count} layers: {:?}", start.elapsed() / 20_000);
        }
    }
}
