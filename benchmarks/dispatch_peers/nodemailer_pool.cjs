// nodemailer: its pool of so many connections, composing a message a person.
// node nodemailer_pool.cjs JOB PORT CONNECTIONS; NODE_PATH names where nodemailer is.
"use strict";
const fs = require("node:fs");
const nodemailer = require("nodemailer");

const [jobPath, port, connections] = process.argv.slice(2);
const job = JSON.parse(fs.readFileSync(jobPath, "utf8"));

async function main() {
  const pool = nodemailer.createTransport({
    pool: true, host: "127.0.0.1", port: Number(port), secure: false, ignoreTLS: true,
    maxConnections: Number(connections), maxMessages: Infinity,
  });
  const cpu = process.cpuUsage();
  const began = process.hrtime.bigint();
  let next = 0;
  async function worker() {
    while (next < job.people.length) {
      const person = job.people[next++];
      await pool.sendMail({
        from: `${job.from_name} <${job.from_email}>`,
        to: person.email,
        subject: job.subject,
        text: job.text.replaceAll("@@name@@", person.name).replaceAll("@@url@@", person.url),
        html: job.html.replaceAll("@@name-html@@", person.name_html).replaceAll("@@url@@", person.url),
        list: { unsubscribe: person.url },
      });
    }
  }
  // Twice as many as connections: one message is composed while another is on the wire.
  await Promise.all(Array.from({ length: 2 * Number(connections) }, worker));
  const wall = Number(process.hrtime.bigint() - began) / 1e9;
  const used = process.cpuUsage(cpu);
  pool.close();
  console.log(JSON.stringify({ wall, cpu: (used.user + used.system) / 1e6 }));
}

main().catch((error) => { console.error(error); process.exit(1); });
