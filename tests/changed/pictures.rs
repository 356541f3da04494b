// A page with twenty pictures, each of a size of its own, in `webserver4d` (this text is
// put behind that program's). The page says when it has them, and which. Each request is
// a line among the errors: the port of its connection, and its path.
fn pictures(environ: gateway::Environ, mut start: gateway::StartResponse) -> gateway::Result<gateway::Body> {
    let text = |name| String::from_utf8_lossy(environ.get(name).unwrap_or_default()).into_owned();
    let path = text("PATH_INFO");
    eprintln!("{} {path}?{}", text("REMOTE_PORT"), text("QUERY_STRING"));
    let number = path.strip_prefix("/picture-").and_then(|name| name.strip_suffix(".svg"));
    let number: Option<u32> = number.and_then(|number| number.parse().ok());
    let (kind, body) = match number {
        Some(number) => ("image/svg+xml", format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"10\">{}</svg>",
            100 + number,
            "<rect width=\"9\" height=\"9\"/>".repeat(1_000)
        )),
        None if path == "/" => ("text/html", format!(
            "<!DOCTYPE html><link rel=\"icon\" href=\"data:,\">{}<script>\n\
             addEventListener('load', () => {{\n\
                 const widths = [...document.images].map((image) => image.naturalWidth);\n\
                 fetch('/loaded?' + widths.join('+'));\n\
             }});\n</script>\n",
            (1..=20).map(|number| format!("<img src=\"/picture-{number}.svg\">")).collect::<String>()
        )),
        None => ("text/plain", String::new()),
    };
    start.start("200 OK", gateway::headers([("Content-Type", kind), ("Cache-Control", "no-store")]))?;
    Ok(gateway::Body::from(body))
}
