//! What a person sees on stderr while a stage works: one bar a stage, log lines above it.

use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

fn bars() -> &'static MultiProgress {
    static BARS: OnceLock<MultiProgress> = OnceLock::new();
    BARS.get_or_init(MultiProgress::new)
}

/// The bar of one stage. Nothing is drawn where stderr is no terminal.
#[derive(Debug, Clone)]
pub struct StageBar(ProgressBar);

impl StageBar {
    /// Starts the bar of `stage`, counting `total` units.
    pub fn start(stage: &str, total: u64) -> Self {
        let bar = bars().add(ProgressBar::new(total));
        let template = match crate::output::colours(&std::io::stderr()) {
            true => "{prefix:>9.bold} {bar:32.cyan/dim} {pos}/{len} {elapsed_precise} {wide_msg:.dim}",
            false => "{prefix:>9} {bar:32} {pos}/{len} {elapsed_precise} {wide_msg}",
        };
        let style = ProgressStyle::with_template(template)
            .expect("both templates are constant and well formed")
            .progress_chars("━━─");
        bar.set_style(style);
        bar.set_prefix(stage.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Starts the bar of something whose end is not known.
    pub fn open_ended(name: &str) -> Self {
        let started = Self::start(name, 0);
        let template = "{prefix:>9} {spinner} {pos} {elapsed_precise} {wide_msg}";
        started.0.set_style(ProgressStyle::with_template(template).expect("the template is constant and well formed"));
        started
    }

    /// How many units are done.
    pub fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Whether anybody can see it.
    pub fn is_drawn(&self) -> bool {
        !self.0.is_hidden()
    }

    /// How many units are done, and how many there are.
    pub fn position(&self) -> (u64, u64) {
        (self.0.position(), self.0.length().unwrap_or(0))
    }

    /// The stage's name.
    pub fn stage(&self) -> String {
        self.0.prefix()
    }

    /// Changes how many units there are.
    pub fn set_total(&self, total: u64) {
        self.0.set_length(total);
    }

    /// A few words beside the bar.
    pub fn say(&self, message: impl Into<String>) {
        self.0.set_message(message.into());
    }

    /// Removes the bar; the stage's summary line takes its place.
    pub fn finish(&self) {
        self.0.finish_and_clear();
        bars().remove(&self.0);
    }
}

/// Prints a line above whatever bars are drawn.
pub fn line(text: &str) {
    bars().suspend(|| {
        let _ = writeln!(std::io::stderr(), "{text}"); // a closed stderr must not fail the work
    });
}

/// Where log lines go: stderr, above the bars.
#[derive(Debug, Default)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        bars().suspend(|| std::io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
