//! The table, on the standard output and as Markdown, and the plot.

use std::{fmt::Write, fs, io, path::Path, time::Duration};

/// One line of the table.
struct Row {
    what: String,
    figure: String,
    ratio: Option<f64>,
    limit: Option<Limit>,
}

/// What a ratio has to be.
#[derive(Clone, Copy)]
pub enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

/// A curve: times by how much was rewritten.
pub struct Curve {
    pub name: &'static str,
    pub points: Vec<(u64, Duration)>,
}

/// Everything that was measured.
pub struct Report {
    rows: Vec<Row>,
    curves: Vec<Curve>,
}

impl Report {
    pub fn new() -> Self {
        println!("{:<66} {:>22} {:>8}  verdict", "what", "figure", "ratio");
        Self { rows: Vec::new(), curves: Vec::new() }
    }

    /// A figure that only orients.
    pub fn figure(&mut self, what: impl Into<String>, figure: impl Into<String>) {
        self.add(Row { what: what.into(), figure: figure.into(), ratio: None, limit: None });
    }

    /// A figure with what it has to be.
    pub fn judged(
        &mut self,
        what: impl Into<String>,
        figure: impl Into<String>,
        ratio: f64,
        limit: Limit,
    ) {
        let (what, figure) = (what.into(), figure.into());
        self.add(Row { what, figure, ratio: Some(ratio), limit: Some(limit) });
    }

    fn add(&mut self, row: Row) {
        let (ratio, verdict) = row.judgement();
        println!("{:<66} {:>22} {ratio:>8}  {verdict}", row.what, row.figure);
        self.rows.push(row);
    }

    pub fn curve(&mut self, curve: Curve) {
        self.curves.push(curve);
    }

    /// Writes `store.md` and `store.svg`.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut text = format!(
            "# The store, measured\n\nMade by `cargo xtask bench store` on a machine with {cores} cores, everything on one file system\nin one run. Ratios count; absolute figures only orient.\n\n![Time of one split by rewrites](store.svg)\n\n| what | figure | ratio | verdict |\n|---|---|---|---|\n"
        );
        for row in &self.rows {
            let (ratio, verdict) = row.judgement();
            let _ = writeln!(text, "| {} | {} | {ratio} | {verdict} |", row.what, row.figure);
        }
        fs::write(dir.join("store.md"), text)?;
        fs::write(dir.join("store.svg"), self.plot())
    }

    /// Both axes are logarithmic: rewrites from none to a million, times from 0.1 ms to 10 s.
    fn plot(&self) -> String {
        const COLOURS: [&str; 5] = ["#0b6e4f", "#c1121f", "#1d4e89", "#8d6a9f", "#5c5c5c"];
        let x = |rewrites: u64| 90.0 + 90.0 * ((rewrites.max(1) as f64).log10());
        let y = |time: Duration| 360.0 - 64.0 * ((time.as_secs_f64() * 1e4).max(1.0).log10());
        let mut svg = String::from(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 840 430\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"840\" height=\"430\" fill=\"white\"/>\n<text x=\"90\" y=\"24\" font-size=\"15\">Time of one split or snapshot, by random 4 KiB rewrites before it</text>\n",
        );
        for (power, label) in (0i32..).zip(["0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]) {
            let at = 360.0 - 64.0 * f64::from(power);
            let _ = writeln!(
                svg,
                "<line x1=\"90\" x2=\"630\" y1=\"{at}\" y2=\"{at}\" stroke=\"#ddd\"/><text x=\"82\" y=\"{}\" text-anchor=\"end\">{label}</text>",
                at + 4.0
            );
        }
        let labels = ["none", "10", "100", "1,000", "10,000", "100,000", "1,000,000"];
        for (power, label) in (0i32..).zip(labels) {
            let at = 90.0 + 90.0 * f64::from(power);
            let _ = writeln!(
                svg,
                "<line x1=\"{at}\" x2=\"{at}\" y1=\"40\" y2=\"360\" stroke=\"#eee\"/><text x=\"{at}\" y=\"380\" text-anchor=\"middle\">{label}</text>"
            );
        }
        for (n, curve) in self.curves.iter().enumerate() {
            let colour = COLOURS[n % COLOURS.len()];
            let points: Vec<String> = curve
                .points
                .iter()
                .map(|(at, time)| format!("{:.1},{:.1}", x(*at), y(*time)))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
                points.join(" ")
            );
            for point in &points {
                let (at, height) = point.split_once(',').unwrap_or(("0", "0"));
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{at}\" cy=\"{height}\" r=\"3.5\" fill=\"{colour}\"/>"
                );
            }
            let height = 60 + 22 * n;
            let _ = writeln!(
                svg,
                "<rect x=\"645\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"663\" y=\"{height}\">{}</text>",
                height - 11,
                curve.name
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl Row {
    fn judgement(&self) -> (String, &'static str) {
        let ratio = self.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let verdict = match (self.ratio, self.limit) {
            (Some(ratio), Some(Limit::AtLeast(limit))) if ratio >= limit => "within",
            (Some(ratio), Some(Limit::AtMost(limit))) if ratio <= limit => "within",
            (Some(_), Some(_)) => "MISSED",
            _ => "",
        };
        (ratio, verdict)
    }
}

/// Milliseconds with three digits.
pub fn ms(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

/// The one in the middle.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
