// Numbers and states as people say them.

/** A count. */
export function number(value) {
    return value.toLocaleString();
}

/** What happens so often in a second, or takes so many milliseconds: small ones with a fraction. */
export function rate(value) {
    const digits = value < 10 ? 1 : 0;
    return value.toLocaleString(undefined, { maximumFractionDigits: digits });
}

/** A time in the unit that suits it, and the next smaller one. */
export function lapse(seconds) {
    const whole = Math.max(0, Math.round(seconds));
    if (whole < 60) return `${whole} s`;
    const [minutes, hours] = [Math.round(whole / 60), Math.round(whole / 3600)];
    if (minutes < 60) return `${minutes} min`;
    if (hours < 48 && minutes % 60 === 0) return `${minutes / 60} h`;
    if (hours < 48) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
    return `${Math.round(hours / 24)} days`;
}

const HEALTH = {
    "in-service": "In service",
    registering: "Registering",
    failed: "Out of service",
    recovering: "Recovering",
};

export function healthWords(health) {
    return HEALTH[health] ?? health;
}
