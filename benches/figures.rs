//! The figures: a table for people, and a list for programs.

use std::path::Path;

use serde::Serialize;

#[derive(Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    higher_is_better: bool,
    bar: Option<f64>,
    holds: bool,
}

#[derive(Default)]
pub struct Figures(Vec<Figure>);

impl Figures {
    /// A figure without a bar.
    pub fn note(&mut self, name: &str, value: f64, unit: &'static str) {
        self.add(name, value, unit, false, None);
    }

    pub fn most(&mut self, name: &str, value: f64, unit: &'static str, bar: f64) {
        self.add(name, value, unit, false, Some(bar));
    }

    pub fn least(&mut self, name: &str, value: f64, unit: &'static str, bar: f64) {
        self.add(name, value, unit, true, Some(bar));
    }

    fn add(&mut self, name: &str, value: f64, unit: &'static str, higher_is_better: bool, bar: Option<f64>) {
        let holds = bar.is_none_or(|bar| if higher_is_better { value >= bar } else { value <= bar });
        let value = (value * 100.0).round() / 100.0;
        eprintln!("{name}: {value} {unit}");
        self.0.push(Figure { name: name.to_owned(), value, unit, higher_is_better, bar, holds });
    }

    pub fn print(&self) {
        println!("| figure | measured | bar |\n|---|---|---|");
        for Figure { name, value, unit, higher_is_better, bar, holds } in &self.0 {
            let bar = match bar {
                None => String::new(),
                Some(bar) => {
                    let word = if *higher_is_better { "at least" } else { "at most" };
                    format!("{word} {bar:.0} {unit}{}", if *holds { "" } else { " (missed)" })
                }
            };
            println!("| {name} | {value} {unit} | {bar} |");
        }
    }

    pub fn write(&self, path: &Path) {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, serde_json::to_string_pretty(&self.0).expect("JSON")).expect("written");
    }
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
