// SHA-256 (FIPS 180-4) and HMAC with it (RFC 2104). Browsers have both, but not for pages that came
// without TLS from another host, which the console may be.

// The first 32 bits of the fractional parts of roots of the first primes.
const PRIMES = [];
for (let number = 2; PRIMES.length < 64; number++)
    if (PRIMES.every((prime) => number % prime !== 0)) PRIMES.push(number);
const fraction = (root) => Math.floor((root % 1) * 2 ** 32);
const ROUNDS = PRIMES.map((prime) => fraction(Math.cbrt(prime)));
const START = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));

const turn = (word, bits) => (word >>> bits) | (word << (32 - bits));

/** The schedule of a block: its 16 words, and 48 that are made of them. */
function schedule(view, offset) {
    const words = new Int32Array(64);
    for (let i = 0; i < 16; i++) words[i] = view.getInt32(offset + 4 * i);
    for (let i = 16; i < 64; i++) {
        const [early, late] = [words[i - 15], words[i - 2]];
        const first = turn(early, 7) ^ turn(early, 18) ^ (early >>> 3);
        const second = turn(late, 17) ^ turn(late, 19) ^ (late >>> 10);
        words[i] = words[i - 16] + first + words[i - 7] + second;
    }
    return words;
}

function compress(state, words) {
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
        const choice = (e & f) ^ (~e & g);
        const majority = (a & b) ^ (a & c) ^ (b & c);
        const ends = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
        const begins = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
        const one = (h + ends + choice + ROUNDS[i] + words[i]) | 0;
        [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + begins + majority) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] += word));
}

const bytesOf = (data) => (typeof data === "string" ? new TextEncoder().encode(data) : data);

/** The hash of text or bytes, as bytes. */
export function sha256(data) {
    const bytes = bytesOf(data);
    // A one, zeros up to the end of a block, and the length in bits.
    const padded = new Uint8Array((((bytes.length + 8) >> 6) + 1) << 6);
    padded.set(bytes);
    padded[bytes.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setBigUint64(padded.length - 8, 8n * BigInt(bytes.length));
    const state = Int32Array.from(START);
    for (let offset = 0; offset < padded.length; offset += 64)
        compress(state, schedule(view, offset));
    const hash = new DataView(new ArrayBuffer(32));
    state.forEach((word, i) => hash.setInt32(4 * i, word));
    return new Uint8Array(hash.buffer);
}

/** The code of text or bytes by a key of either kind, as bytes. */
export function hmac(key, data) {
    const given = bytesOf(key);
    const block = new Uint8Array(64);
    block.set(given.length > 64 ? sha256(given) : given);
    const joined = (pad, tail) => Uint8Array.from([...block.map((byte) => byte ^ pad), ...tail]);
    return sha256(joined(0x5c, sha256(joined(0x36, bytesOf(data)))));
}

/** Bytes as lower-case hexadecimal digits. */
export function hex(bytes) {
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
