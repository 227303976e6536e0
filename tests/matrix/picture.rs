//! The run as a picture: a bar for what became of the calls of each stack in each scenario.

use crate::trial::{Cell, Row, STACKS};
use alclad_trial::Miss;
use plotters::{
    backend::SVGBackend,
    coord::Shift,
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{Rectangle, Text},
    style::{Color, IntoFont, RGBColor, TextStyle, WHITE},
};
use std::{io, path::Path};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

/// What it is called, its colour, and how many calls it is.
type Share = (&'static str, RGBColor, fn(&Cell) -> u64);

/// In colours that the colour-blind can tell apart.
const SHARES: [Share; 5] = [
    ("right", RGBColor(86, 180, 233), |cell| cell.score.right),
    ("stale", RGBColor(240, 228, 66), |cell| cell.score.missed(Miss::Stale)),
    ("null", RGBColor(230, 159, 0), |cell| cell.score.missed(Miss::Null)),
    ("wrong", RGBColor(204, 40, 120), |cell| cell.score.missed(Miss::Wrong)),
    ("failed", RGBColor(60, 60, 60), |cell| cell.score.missed(Miss::Failed)),
];

/// In pixels.
const NAMES: i32 = 240;
const BAR: i32 = 150;
const COLUMN: i32 = 210;
const LINE: i32 = 18;
const TOP: i32 = 64;
const MARGIN: i32 = 12;

/// Draws it into a file.
pub(crate) fn draw(file: &Path, rows: &[Row]) -> Drawn {
    let size =
        (MARGIN + NAMES + COLUMN * STACKS.len() as i32, TOP + LINE * rows.len() as i32 + MARGIN);
    let area = SVGBackend::new(file, (size.0 as u32, size.1 as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    legend(&area)?;
    for (index, stack) in STACKS.iter().enumerate() {
        write(&area, stack.name, left(index), TOP - LINE)?;
    }
    for (row, y) in rows.iter().zip((TOP..).step_by(LINE as usize)) {
        write(&area, row.scenario.name, MARGIN, y)?;
        for (index, cell) in row.cells.iter().enumerate() {
            bar(&area, cell, left(index), y)?;
            write(&area, &format!("{:.2}x", cell.cost), left(index) + BAR + 6, y)?;
        }
    }
    area.present()
}

const fn left(stack: usize) -> i32 {
    MARGIN + NAMES + COLUMN * stack as i32
}

fn legend(area: &Area<'_>) -> Drawn {
    let mut x = MARGIN;
    for (name, colour, _) in SHARES {
        area.draw(&Rectangle::new([(x, MARGIN), (x + 12, MARGIN + 12)], colour.filled()))?;
        write(area, name, x + 18, MARGIN)?;
        x += 80;
    }
    write(area, "Nx: calls sent to endpoints per call", x, MARGIN)
}

/// A share that is there is seen, however small it is.
fn bar(area: &Area<'_>, cell: &Cell, left: i32, y: i32) -> Drawn {
    let all = cell.score.calls() as f64;
    let mut end = left + BAR;
    for (_, colour, count) in SHARES.iter().skip(1).rev() {
        let count = count(cell);
        if count > 0 {
            let width = ((count as f64 / all * f64::from(BAR)) as i32).max(2);
            let start = (end - width).max(left);
            area.draw(&Rectangle::new([(start, y), (end, y + LINE - 5)], colour.filled()))?;
            end = start;
        }
    }
    let (_, colour, _) = SHARES[0];
    area.draw(&Rectangle::new([(left, y), (end, y + LINE - 5)], colour.filled()))
}

fn write(area: &Area<'_>, text: &str, x: i32, y: i32) -> Drawn {
    let style = TextStyle::from(("sans-serif", 12).into_font());
    area.draw(&Text::new(text.to_owned(), (x, y + 1), style))
}
