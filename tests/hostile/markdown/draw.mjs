// Reads lines of JSON, each a Markdown text; writes for each a line of JSON: the HTML that it is drawn as.
import { createInterface } from "node:readline";
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import Markdown from "react-markdown";
import rehypeRaw from "rehype-raw";
import remarkGfm from "remark-gfm";

const plugins = { remarkPlugins: [remarkGfm], rehypePlugins: [rehypeRaw] };
for await (const line of createInterface({ input: process.stdin })) {
  const drawn = renderToStaticMarkup(createElement(Markdown, plugins, JSON.parse(line)));
  process.stdout.write(JSON.stringify(drawn) + "\n");
}
