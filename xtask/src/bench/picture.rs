//! docs/performance.svg: the two figures that a reader looks for first, as bars.
//!
//! The start of one command is drawn to scale; the restart of a service spans three orders of magnitude, so its axis is
//! logarithmic and says so.

use super::{Readings, subjects::Subject, table::median};
use std::fmt::Write;

const WIDTH: f64 = 760.0;
const LABEL: f64 = 250.0;
const ROW: f64 = 24.0;

struct Bar {
    name: String,
    value: f64,
    ours: bool,
}

/// Two panels, one above the other.
pub(super) fn svg(bare: &[Subject], supervisors: &[Subject], results: &[Readings]) -> String {
    let bars = |subjects: &[Subject], from: usize, name: &str, scale: f64| -> Vec<Bar> {
        subjects
            .iter()
            .zip(results.iter().skip(from))
            .filter_map(|(subject, readings)| {
                let value = median(readings.get(name))? / scale;
                Some(Bar { name: subject.name.clone(), value, ours: subject.is_ours() })
            })
            .collect()
    };
    let start = bars(bare, 0, "start.child_us", 1000.0);
    let restart = bars(supervisors, bare.len(), "restart.restart_us", 1000.0);
    let mut body = String::new();
    let mut y = panel(&mut body, 24.0, "exec of the init to main of its command, ms", &start, |value, max| value / max);
    y = panel(
        &mut body,
        y + 24.0,
        "service killed to service running again, ms (logarithmic)",
        &restart,
        |value, max| ((value * 10.0).max(1.0).log10() / (max * 10.0).max(10.0).log10()).clamp(0.0, 1.0),
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" role=\"img\" \
         aria-label=\"Start and restart of skill-init beside other inits\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <style>text {{ fill: #1f2328 }} .title {{ font-weight: 600 }} .peer {{ fill: #8c959f }} .ours {{ fill: #0969da }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} .ours {{ fill: #4493f8 }} }}</style>\n{body}</svg>\n"
    )
}

/// Draws one panel; the y below it.
fn panel(body: &mut String, top: f64, title: &str, bars: &[Bar], share: impl Fn(f64, f64) -> f64) -> f64 {
    let _ = writeln!(body, "<text class=\"title\" x=\"8\" y=\"{top}\">{title}</text>");
    let max = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let room = WIDTH - LABEL - 90.0;
    let mut y = top + 12.0;
    for bar in bars {
        let length = (room * share(bar.value, max)).max(1.0);
        let class = if bar.ours { "ours" } else { "peer" };
        let _ = writeln!(
            body,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{LABEL}\" y=\"{y:.0}\" width=\"{length:.0}\" height=\"16\" rx=\"2\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\">{:.2}</text>",
            LABEL - 8.0,
            y + 13.0,
            bar.name,
            LABEL + length + 6.0,
            y + 13.0,
            bar.value,
        );
        y += ROW;
    }
    y
}
