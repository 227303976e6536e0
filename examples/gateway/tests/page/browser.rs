//! A page in a browser.

use crate::tools::{find, script, tool};
use serde_json::{Value, json};
use std::{path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

pub(crate) struct Browser {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    process: Child,
}

impl Browser {
    /// A browser that shows this page.
    pub(crate) async fn open(url: &str) -> Self {
        let mut node = tool("node");
        node.arg(script("page/browser.cjs")).arg(find("chromium")).arg(url);
        let mut process =
            node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let input = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut browser = Self { input, output, process };
        browser.ask("open", Value::Null).await;
        browser
    }

    async fn ask(&mut self, verb: &str, argument: impl Into<Value>) -> Value {
        let line = format!("{}\n", json!([verb, argument.into()]));
        self.input.write_all(line.as_bytes()).await.expect("it listens");
        let answer = self.output.next_line().await.expect("a text").expect("it goes on");
        let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["failed"], Value::Null);
        answer["is"].take()
    }

    /// Waits, half a minute at most, until an expression of JavaScript is true.
    pub(crate) async fn until(&mut self, condition: &str) -> Value {
        self.ask("until", condition).await
    }

    /// What an expression of JavaScript is.
    pub(crate) async fn tell(&mut self, expression: &str) -> Value {
        self.ask("tell", expression).await
    }

    /// What the console was told since this was asked last, and what was loaded from elsewhere.
    pub(crate) async fn problems(&mut self) -> Vec<String> {
        serde_json::from_value(self.ask("problems", Value::Null).await).expect("texts")
    }

    /// A picture of the page, kept below `target`.
    pub(crate) async fn picture(&mut self, name: &str, width: u32, scheme: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/page");
        self.ask("look", json!([width, 900, scheme])).await;
        let file = folder.join(name).with_extension("png");
        self.ask("picture", file.to_str().expect("a text")).await;
        assert!(file.is_file());
    }

    /// Closes it in peace: what is killed leaves its processes behind.
    pub(crate) async fn close(mut self) {
        drop(self.input);
        assert!(self.process.wait().await.expect("it ends").success());
    }
}
