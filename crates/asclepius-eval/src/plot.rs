//! Loss curves as SVG, drawn by `plotters`.

use plotters::prelude::*;

use crate::EvalError;

/// One line of a plot: points in order of x.
#[derive(Debug, Clone)]
pub struct Series {
    /// What the legend says.
    pub label: String,
    /// (step, loss).
    pub points: Vec<(f64, f64)>,
    /// Drawn with dots, as evaluations are.
    pub dotted: bool,
}

const WIDTH: u32 = 880;
const HEIGHT: u32 = 300;

/// Draws loss against optimizer steps. An empty plot is an empty string.
///
/// # Errors
/// When `plotters` refuses the drawing.
pub fn loss_curves(series: &[Series]) -> Result<String, EvalError> {
    let points = || series.iter().flat_map(|line| &line.points).filter(|(_, y)| y.is_finite());
    let Some(last) = points().map(|(x, _)| *x).reduce(f64::max) else {
        return Ok(String::new());
    };
    let low = points().map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
    let high = points().map(|(_, y)| *y).fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * 0.06).max(0.02);
    let mut svg = String::new();
    draw(&mut svg, series, last, (low - margin)..(high + margin))
        .map_err(|error| EvalError::Plot(error.to_string()))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    series: &[Series],
    last: f64,
    range: std::ops::Range<f64>,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    const COLOURS: [RGBColor; 2] = [RGBColor(15, 110, 132), RGBColor(181, 101, 29)];
    // At most ten lines are drawn: a tenth of the range is the least that two of them lie apart.
    let decimals = (-((range.end - range.start) / 10.0).log10().floor()).max(1.0) as usize;
    let root = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..last.max(1.0), range)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(222, 227, 233))
        .axis_style(RGBColor(150, 160, 172))
        .label_style(("sans-serif", 13))
        .x_desc("optimizer step")
        .y_desc("loss, nats a token")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.decimals$}"))
        .draw()?;
    for (line, colour) in series.iter().zip(COLOURS.into_iter().cycle()) {
        let points = || line.points.iter().copied().filter(|(_, y)| y.is_finite());
        chart
            .draw_series(LineSeries::new(points(), colour.stroke_width(2)))?
            .label(line.label.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        if line.dotted {
            chart.draw_series(points().map(|point| Circle::new(point, 3, colour.filled())))?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(("sans-serif", 13))
        .background_style(WHITE.mix(0.8))
        .draw()?;
    root.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_an_svg_with_its_labels_and_nothing_is_drawn_from_nothing() {
        let line = Series { label: "training".to_owned(), points: vec![(1.0, 7.0), (2.0, 5.5)], dotted: false };
        let svg = loss_curves(&[line]).expect("drawable");
        assert!(svg.starts_with("<svg") && svg.contains("training"));
        assert_eq!(loss_curves(&[]).expect("empty"), "");
    }

    #[test]
    fn no_two_lines_of_a_plot_are_called_alike() {
        for (high, low) in [(7.6, 4.8), (5.0, 4.1), (3.22, 3.13), (3.131, 3.13), (0.4, 0.4)] {
            let points = vec![(0.0, high), (6.0, low)];
            let svg = loss_curves(&[Series { label: "held out".to_owned(), points, dotted: true }]).expect("drawable");
            let labels: Vec<&str> =
                svg.lines().filter(|line| line.contains('.') && line.parse::<f64>().is_ok()).collect();
            let different: std::collections::BTreeSet<&str> = labels.iter().copied().collect();
            assert!(labels.len() > 2 && labels.len() == different.len(), "{high} to {low}: {labels:?}");
        }
    }
}
