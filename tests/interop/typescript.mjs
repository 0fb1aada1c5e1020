// What the official TypeScript SDK makes of the server: told in one line of JSON. Its argument says how to reach it.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const how = JSON.parse(process.argv[2]);

function server() {
  if (how.url) {
    const headers = { Authorization: `Bearer ${how.token}` };
    return new StreamableHTTPClientTransport(new URL(how.url), { requestInit: { headers } });
  }
  const [command, ...args] = how.command;
  return new StdioClientTransport({ command, args });
}

const client = new Client({ name: "interop", version: "1" });
await client.connect(server());
const { tools } = await client.listTools();
const call = (name, given, more) => client.callTool({ name, arguments: given }, undefined, more);
const progress = [];
const tail = await call("log-tail", { service: "web", lines: 2 });
const slow = await call("test-sh", { name: "slow" }, { onprogress: (word) => progress.push(word.message) });
const denied = await call("log-tail", { service: "elsewhere" });
const share = await client.readResource({ uri: "openscope://share" });
await client.close();
console.log(
  JSON.stringify({
    tools: tools.map((tool) => tool.name),
    stdout: tail.structuredContent.stdout,
    text: tail.content[0].text,
    slow: slow.structuredContent.stdout,
    progress: progress.filter(Boolean),
    denied: denied.isError,
    share: JSON.parse(share.contents[0].text).schema,
  }),
);
