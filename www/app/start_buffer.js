// @ts-check
// Keeps a player at its place until it has its start buffer, so that it does not begin and stop again at once. The first frame is
// shown meanwhile. The player waits at a speed of 0: a paused one would show the poster, and browsers would read less.

/** What a player waits for until the peer says how much it needs. */
const SECONDS = 2;

/** A player waits at most this long once it could play: more than this, the swarm cannot give at the moment. */
const WAIT_MAX_MS = 5_000;

const LOOK_INTERVAL_MS = 50;

/**
 * The speed that the person chose, also while the player waits.
 * @param {HTMLMediaElement} media
 */
export function speed(media) {
  return media.playbackRate || Number(media.dataset.speed ?? 1);
}

export class StartBuffer {
  /** Media that a player needs before it plays, and again after a stall; the peer says so. */
  seconds = SECONDS;
  /** Called when a wait ends. @type {() => void} */
  onEnd = () => {};
  #media;
  /** @type {number | undefined} */
  #timer;
  /** Since when the player could play. @type {number | undefined} */
  #since;

  /** @param {HTMLMediaElement} media */
  constructor(media) {
    this.#media = media;
    for (const event of ["play", "waiting"]) media.addEventListener(event, () => this.#wait());
  }

  /** Whether the player waits. */
  get isWaiting() {
    return this.#timer !== undefined;
  }

  /** The player waits, unless it has enough. */
  #wait() {
    const media = this.#media;
    if (this.isWaiting || this.#isFull()) return;
    // Scripts that are loaded later have a copy of this one, so what they ask for is kept at the element.
    media.dataset.speed = String(media.playbackRate);
    media.playbackRate = 0;
    this.#since = undefined;
    this.#timer = setInterval(() => this.#look(), LOOK_INTERVAL_MS);
  }

  #look() {
    const media = this.#media;
    if (media.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) this.#since ??= performance.now();
    const isOver = this.#since !== undefined && performance.now() > this.#since + WAIT_MAX_MS;
    // A person who chooses a speed does not want to wait.
    const isChosen = media.playbackRate !== 0;
    if (!isOver && !isChosen && !media.error && !this.#isFull()) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    media.playbackRate = speed(media);
    delete media.dataset.speed;
    this.onEnd();
  }

  #isFull() {
    const ahead = secondsAhead(this.#media);
    // What ends sooner is there to the end.
    return ahead > 0 && ahead >= Math.min(this.seconds, this.#media.duration - this.#media.currentTime - 0.1);
  }
}

/**
 * Seconds of media buffered beyond what plays.
 * @param {HTMLMediaElement} media
 */
export function secondsAhead({ buffered, currentTime }) {
  for (let run = 0; run < buffered.length; run += 1) {
    if (buffered.start(run) <= currentTime + 0.1 && currentTime < buffered.end(run)) return buffered.end(run) - currentTime;
  }
  return 0;
}
