/// <reference types="node" />

/** What a message can be made of: its bytes are copied, a string is UTF-8. */
export type Data = string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** Returned by a handler to end its actor, reason `normal`. */
export const STOP: unique symbol;

/** What a handler returns: the answer to a question, or nothing. */
export type Returned = Data | typeof STOP | null | undefined | void;

/**
 * Called with each message, one at a time, and the actor's own pid. `message` is a slice of an
 * arena of 64 KiB that many messages share, or a buffer of its own above 4 KiB: it stays what it
 * is for as long as it is kept, and keeps its arena as long. Who keeps few messages for long had
 * better copy them (`Buffer.from(message)`).
 *
 * The next message comes when the promise that it returns, if it does, is settled. What it throws
 * ends the actor, reason `crash`.
 */
export type Handler = (message: Buffer, pid: number) => unknown;

/** A handler of an actor that was spawned with `system: true`. */
export type SystemHandler = (message: Buffer | SystemMessage, pid: number) => unknown;

export interface SpawnOptions {
  /** Registered before anybody can send to it. */
  name?: string;
  /** The most messages that may wait. Such an actor is called with one message for each turn. */
  capacity?: number;
  /** Whether the handler gets system messages, too. */
  system?: boolean;
  /** `"resume"`: the actor goes on with its next message when the handler throws. */
  onError?: 'crash' | 'resume';
}

/** An exception or a panic, as text. */
export interface Failure {
  type: string;
  message: string;
  stack: string;
}

/** News from the runtime, such as the end of an actor. */
export class SystemMessage {
  private constructor();
  readonly typeName:
    | 'EXIT' | 'DOWN' | 'RESTARTED' | 'GAVE_UP'
    | 'NODE_UP' | 'NODE_DOWN' | 'NODE_STALLED' | 'NODE_MOVING' | 'HEARTBEAT' | 'NAME_CONFLICT'
    | 'OTHER';
  /** Who caused or reported it. */
  readonly fromPid: number | null;
  /** Whom it is about. */
  readonly targetPid: number | null;
  /** Why, in lower case: `normal`, `shutdown`, `killed`, `crash`, `panic`, `noproc`, .. */
  readonly reason: string | null;
  /** The failure behind it. */
  readonly metadata: Failure | null;
  /** The monitor that brings a DOWN. */
  readonly reference: number | null;
  /** The node that it is about. */
  readonly node: string | null;
  readonly detail: string | null;
}

/** What `recv` and `getMessages` give: `data` is empty beside a system message. */
export interface Message {
  data: Buffer;
  system?: SystemMessage;
}

/** The mailbox of an actor that receives. One wait at a time. */
export class Mailbox {
  private constructor();
  readonly pid: number;
  /** The next message; `null` if none came within `seconds`. Rejects with `MailboxClosed` on stop. */
  recv(): Promise<Message>;
  recv(seconds: number | undefined): Promise<Message | null>;
  /** The first message that matches; those before it keep their order for later calls. */
  selectiveRecv(matcher: (message: Message) => unknown): Promise<Message>;
  selectiveRecv(matcher: (message: Message) => unknown, seconds: number | undefined): Promise<Message | null>;
  /** Waits for the first as `recv` does, and takes what is there then; empty if none came in time. */
  recvMany(max: number, seconds?: number): Promise<Message[]>;
  /** Answers who asked with the message that was received last; whether somebody did, and waits. */
  reply(data: Data): boolean;
  /** Messages until the actor is told to stop. */
  [Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined>;
}

export interface PathEntry {
  path: string;
  pid: number;
}

export interface Info {
  pid: number;
  /** The first of `names`. */
  name: string | null;
  kind: 'push' | 'virtual' | 'pull' | 'observer';
  /** Always: of the dead there is nothing to know. */
  alive: true;
  status: 'reserved' | 'idle' | 'scheduled' | 'running';
  mailboxSize: number;
  /** `null`: any number. */
  capacity: number | null;
  /** The policy; `null` without a capacity. */
  overflow: OverflowPolicy | null;
  overflowTarget: number | null;
  handled: number;
  behaviorVersion: number;
  behavior: string;
  names: string[];
  paths: string[];
  parent: number | null;
  children: number[];
  supervised: boolean;
}

export interface TreeEntry {
  pid: number;
  /** Whom it ends with. */
  parent: number | null;
  /** How many ancestors it has. */
  depth: number;
  names: string[];
  paths: string[];
  /** The name of its handler. */
  behavior: string;
  /** `exited`: a parent that waits for its children. */
  status: 'reserved' | 'idle' | 'scheduled' | 'running' | 'exited';
  mailboxSize: number;
}

/** The actors of a runtime as they were at about one moment, each before its children. */
export class Tree {
  private constructor();
  readonly entries: TreeEntry[];
  readonly length: number;
  /** Those without a parent. */
  roots(): TreeEntry[];
  /** The children of an actor, oldest first. */
  childrenOf(pid: number): TreeEntry[];
  /** Drawn for a terminal: at most 1,000 actors and 16 generations, and how many are left out. */
  toString(): string;
  [Symbol.iterator](): IterableIterator<TreeEntry>;
}

export interface Stats {
  actors: number;
  /** Those that have something to do. */
  busy: number;
  messagesQueued: number;
  /** By the actors that are there. */
  messagesHandled: number;
  exitsClean: number;
  exitsFailed: number;
  /** By reason: the actor ended, or a full mailbox made room or refused. */
  deadLetters: { stopped: number; evicted: number; refused: number };
}

export interface DeadLetter {
  to: number;
  reason: string;
  data: Buffer | null;
  system: SystemMessage | null;
}

export interface Crash {
  pid: number;
  error: unknown;
  /** Whether the actor goes on. */
  resumes: boolean;
}

export interface AskOptions {
  /** 5,000 by default; `Infinity`: for ever. Up to 1 ms or a thousandth more. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** The actor that asks, for seeing circles: by default the one whose handler is running. */
  from?: number;
}

export type OverflowPolicy = 'dropnew' | 'dropold' | 'redirect' | 'spill' | 'block';
export type Strategy = 'restartone' | 'restartall' | 'restartrest';
export type Restart = 'permanent' | 'transient' | 'temporary';

/**
 * Spawns a successor and returns its pid, or its `Ref` if it is of a class. Names are reserved for it
 * until the first `await`.
 */
export type Factory = () => number | Ref<Actor> | Promise<number | Ref<Actor>>;

/** Paths of three PEM files: the authority of peers' certificates, the node's own and its key. */
export interface TlsFiles {
  ca: string | URL;
  cert: string | URL;
  key: string | URL;
}

/** Everything, nothing, or what has a name or a path with one of these prefixes. */
export type Names = boolean | string[];

/** What some peers may do; what is left out is not granted. */
export interface MeshRule {
  /**
   * Whom it is for: the URI `iris://cluster/node` of a certificate, a DNS name of one without, or
   * with a secret the `name` that the peer goes by. `*` is any characters, and alone everybody.
   */
  peers: string;
  /** Send, ask, monitor and link. */
  send?: Names;
  resolve?: Names;
  /** Publish names for a mesh. */
  register?: Names;
  /** Start registered behaviors. */
  spawn?: Names;
  /** Send exit signals without a link. */
  exit?: boolean;
}

/** How a node is to be; times in seconds. */
export interface MeshOptions {
  /** What it calls itself in the logs of others; 255 bytes at most. */
  name?: string;
  /** What nodes must have in common to talk. */
  cluster?: string;
  /** The address at which others can dial it, if `listen` returns another. */
  advertise?: string;
  /** A key that peers must know: 32 random bytes. */
  secret?: Data;
  /** Mutual TLS; with `nats` for the connection to the server. */
  tls?: TlsFiles;
  /**
   * Addresses of NATS servers, with commas between them: nodes listen and are dialled at
   * `nats:NAME`. Only where iris was built with `cargo xtask node --nats`.
   */
  nats?: string;
  natsCredentials?: string | URL;
  /** Listen beyond this machine without a secret or certificates. */
  insecure?: boolean;
  /** Whom peers reach: actors that have a name, and those whose pid this node has given out; or all. */
  expose?: 'named' | 'all';
  /** Peers may start what is registered with `registerBehavior`. */
  allowSpawn?: boolean;
  /** Serve nodes of the earlier release from other machines, too. */
  allowLegacy?: boolean;
  /** 1 by default: a peer that is silent for three and a half times as long is gone. */
  heartbeat?: number;
  /** 5 by default: for so long a lost connection may come back. */
  resume?: number;
  /** 5 by default: the most that a look-up takes. */
  connectTimeout?: number;
  /** 5 by default: a peer whose loop or lane makes no progress for so long is reported as stalled. */
  stalledAfter?: number;
  /** Bytes; 64 MiB by default. */
  maxMessage?: number;
  /** What peers may do: the first rule that fits. With rules, whom none fits may do nothing. */
  acl?: MeshRule[];
  /** Peers that are refused, also by `sha256:..`, the digest of a certificate. */
  deny?: string[];
  /** 1,024 by default: connections of others. */
  maxLinks?: number;
  /** 256 by default: those of them that have not said who they are. */
  maxUnproven?: number;
  /** 16 by default: the same, from one address. */
  maxUnprovenPerIp?: number;
}

/** For `makeCertificates`. */
export interface CertificateOptions {
  cluster?: string;
  /** Names or IP addresses at which the node is dialled; those of this machine by default. */
  hosts?: string[];
  /** For how long it is valid; 90 by default, 3650 at most. */
  days?: number;
}

export interface ShutdownReport {
  /** Messages that became dead letters. */
  undelivered: number;
  /** Actors that were still inside a handler. */
  stuck: number;
}

export interface ActorOptions extends SpawnOptions {
  /** Messages before others get their turn; 100 by default. */
  budget?: number;
  /** Whom it ends with. */
  parent?: number;
}

export interface SwapOptions {
  /** Whether the backlog is for the new handler, too. */
  now?: boolean;
  system?: boolean;
  onError?: 'crash' | 'resume';
}

export interface ClassSwapOptions<Old, New> extends SwapOptions {
  /**
   * What the new instance has, or that instance; all enumerable properties of the old one by default.
   * Called in the actor, before the first message for the new class.
   */
  migrate?: (old: Old) => New | { [key: string]: unknown };
}

/** How to ask; never an argument of the method. Must have one of these at least. */
export interface MethodOptions {
  /** 5,000 by default; `Infinity`: for ever. Up to 1 ms or a thousandth more. */
  timeoutMs?: number;
  /** Gives the answer up. */
  signal?: AbortSignal;
  /** Arguments by name, for methods of Python. */
  kwargs?: { [name: string]: unknown };
}

// Actors of classes.

/** A value as it arrives: `undefined` as `null`, bytes as a `Buffer`, a `Map` of texts as an object. */
export type Carried<T> =
  unknown extends T ? T
    : T extends undefined | null | void | typeof STOP ? null
      : T extends string | number | boolean ? T
        : T extends bigint ? bigint | number
          : T extends ArrayBufferView | ArrayBuffer | SharedArrayBuffer ? Buffer
            : T extends ReadonlyMap<infer K, infer V>
              ? string extends K ? { [key: string]: Carried<V> }
                : Map<Carried<K>, Carried<V>> | { [key: string]: Carried<V> }
              : T extends symbol | Unable ? never
                : T extends readonly unknown[] ? { -readonly [I in keyof T]: Carried<T[I]> }
                  : { [K in keyof T]: Carried<T[K]> };

/** Objects that cannot travel. */
type Unable =
  | ((...args: never[]) => unknown) | Date | RegExp | Error | ReadonlySet<unknown>
  | Promise<unknown> | WeakKey & { deref(): unknown } | Actor | Ref<Actor>;

// With any arguments, so that each method is one of these.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type AnyMethod = (...args: any[]) => unknown;

/** The names of the methods that may be called from outside. */
export type MethodOf<A extends Actor> = {
  [K in keyof A]-?: K extends string
    ? K extends `_${string}` | keyof Actor ? never : A[K] extends AnyMethod ? K : never
    : never;
}[keyof A];

/** What a method is called with. */
export type ArgumentsOf<M> = M extends (...args: infer P) => unknown ? P : never;

/** Arguments with something in the place of each optional one. */
export type Filled<P extends unknown[]> =
  P extends [] ? []
    : P extends [infer First, ...infer Rest] ? [First, ...Filled<Rest>]
      : number extends P['length'] ? P
        : P extends [(infer First)?, ...infer Rest] ? [First | undefined, ...Filled<Rest>] : never;

/** What the asker of a method gets. */
export type AnswerOf<M> = M extends (...args: never[]) => infer R ? Carried<Awaited<R>> : never;

/**
 * The base of classes of actors: `rt.spawn(Counter, 3)` makes one.
 *
 * Methods whose names have no leading underscore may be called from outside, `private` ones of
 * TypeScript included: `#name` and `_name` may not. One at a time, in the order in which each sender
 * sent them; an `async` method is waited for. What a method throws is a crash of the actor, and who
 * asked gets it, too. A method that returns `STOP` ends its actor.
 */
export abstract class Actor {
  constructor();
  /** The runtime, in the constructor already; undefined for an instance that is no actor. */
  protected get rt(): NodeRuntime;
  /** The actor itself, for others to talk to; likewise. */
  protected get ref(): Ref<this>;
  /** Called with system messages if the actor was spawned with `system: true`. */
  onSystem(message: SystemMessage): unknown;
  /**
   * Called once when the actor has ended, for whatever reason: before `join` says so, with its names
   * free already. `shutdown` waits for a promise that it returns, for 5 s at most; what it throws is
   * an `IrisStopWarning`. Not called where the process or the worker thread just ends.
   */
  onStop(): unknown;
}

/**
 * An actor of a class, for others to talk to: here or, by the pid that stands for it, on another
 * node, in whatever language. `Number(ref)` is its pid, too. It is sent to others as `ref.pid`, and
 * is a `Ref` again by `rt.refTo(pid, Counter)`.
 */
export class Ref<A extends Actor> {
  constructor(rt: NodeRuntime, pid: number, type: abstract new (...args: never[]) => A);
  readonly pid: number;
  readonly rt: NodeRuntime;
  /**
   * What the method returns. What it throws is thrown: of its own type if that is built in or
   * registered, else as a `RemoteError`; its `cause` says where in the actor it was.
   *
   * Rejects with `DeadActorError`, also when the actor ends with the question queued, `AskTimeoutError`,
   * `DeadlockError`, `MailboxFullError`, `CodecError` and, for a method that it has not,
   * `ProtocolError`.
   *
   * Optional arguments before options are given as `undefined`.
   */
  ask<K extends MethodOf<A>>(method: K, ...args: ArgumentsOf<A[K]>): Promise<AnswerOf<A[K]>>;
  ask<K extends MethodOf<A>>(
    method: K,
    ...args: [...Filled<ArgumentsOf<A[K]>>, MethodOptions]
  ): Promise<AnswerOf<A[K]>>;
  /** Has the actor call the method. Throws `DeadActorError`, `MailboxFullError`, `CodecError`. */
  tell<K extends MethodOf<A>>(method: K, ...args: ArgumentsOf<A[K]>): void;
  /** The call as a message, for `sendAfter`, `sendInterval` and `publish`. */
  pack<K extends MethodOf<A>>(method: K, ...args: ArgumentsOf<A[K]>): Buffer;
  toString(): string;
  [Symbol.toPrimitive](hint: 'string'): string;
  [Symbol.toPrimitive](hint: string): number | string;
}

/**
 * Actors, their scheduler and all that is around them. Handlers run on the thread of the event loop
 * that made the runtime; the process stays alive while there is something to do, see `ref`.
 *
 * A pid that nobody has is `false` or `null`, not an error; a wrong argument is a TypeError or
 * RangeError.
 */
export class NodeRuntime {
  /**
   * `mailboxCapacity` is the bound of mailboxes without a `capacity` of their own; any number by default. A handler
   * that is at one message for `watchdog` seconds is told of, see `setWatchdog`; 10 by default, `null` for none.
   */
  constructor(options?: { mailboxCapacity?: number; watchdog?: number | null });

  /** Spawns an actor. `budget`, 100 by default, is messages before others get their turn. */
  spawn(handler: SystemHandler, budget: number | null | undefined, options: SpawnOptions & { system: true }): number;
  spawn(handler: SystemHandler, options: SpawnOptions & { system: true }): number;
  spawn(handler: Handler, budget?: number | null, options?: SpawnOptions): number;
  spawn(handler: Handler, options: SpawnOptions): number;
  /** Spawns an actor of a class, whose constructor gets the arguments. */
  // Last: the parameters of a function that is tried as a class would be `any` from then on.
  spawn<A extends Actor, P extends unknown[]>(type: new (...args: P) => A, ...args: P): Ref<A>;
  /** As `spawn` of a class, with options. */
  spawnActor<A extends Actor, P extends unknown[]>(type: new (...args: P) => A, args: P, options?: ActorOptions): Ref<A>;
  /** A reference to an actor that is known by its pid, here or on another node. */
  refTo<A extends Actor>(pid: number, type?: abstract new (...args: never[]) => A): Ref<A>;
  /** Spawns an actor with room for `capacity` messages that wait, see `setOverflowPolicy`. */
  spawnBounded(handler: Handler, capacity: number, budget?: number, options?: SpawnOptions): number;
  /** @deprecated `spawnBounded` */
  spawn_bounded(handler: Handler, capacity: number, budget?: number, options?: SpawnOptions): number;
  /**
   * Spawns an actor that its first message activates, and that ends after `idleTimeoutMs` without one (never by
   * default); with `reactivate` it only gives up its state, and a later message activates it again.
   */
  spawnVirtual(handler: Handler, budget?: number, idleTimeoutMs?: number, options?: SpawnOptions & { reactivate?: boolean }): number;
  /** Spawns an actor that ends with `parent`. Throws `DeadActorError` if nobody has that pid. */
  spawnChild(parent: number, handler: Handler, budget?: number, options?: SpawnOptions): number;
  /** Spawns `workers` children, 4 by default, that share nothing but the handler; their pids, in order. */
  spawnChildPool(parent: number, handler: Handler, workers?: number, budget?: number): number[];
  /**
   * Spawns an actor that receives: the function is called after this has returned, with a mailbox, and the actor ends
   * when its promise does; it crashes if that rejects.
   */
  spawnWithMailbox(handler: (mailbox: Mailbox) => unknown, budget?: number, options?: { name?: string; capacity?: number }): number;
  /** As `spawnWithMailbox`, ended with `parent`. */
  spawnChildWithMailbox(parent: number, handler: (mailbox: Mailbox) => unknown, budget?: number, options?: { name?: string; capacity?: number }): number;
  /**
   * Spawns an observer: it keeps what it receives for `getMessages` and `selectiveRecv`, the last `cap` of it, 65,536 by
   * default; older ones are dropped and counted. `path` is registered for it.
   */
  spawnWithPathObserved(budget: number, path: string, options?: { cap?: number }): number;

  /**
   * Ends an actor: what is queued becomes dead letters, or with `drain` is handled first; nothing more is accepted. A
   * handler that runs is not interrupted, one that awaits ends there. `false` if nobody has the pid, or it was stopped
   * already; one that drains can still be stopped.
   */
  stop(pid: number, options?: { drain?: boolean }): boolean;
  /** Ends a supervised actor for good: it has no successor. `false` if no supervisor has it. */
  stopChild(pid: number): boolean;
  /**
   * Waits for the end of an actor; `false` if it did not come within `seconds` (for ever by default), `true` at once for
   * one that nobody has. Rejects with `DeadlockError` in the actor's own handler.
   */
  join(pid: number, seconds?: number): Promise<boolean>;
  /** Whether somebody has the pid and was not told to stop at once. */
  isAlive(pid: number): boolean;
  /** The actor whose handler or method is running; after an `await` in a plain handler it is not known any more. */
  self(): number | null;
  /** Replaces a handler, behind the messages that are queued, or with `now` before them. */
  hotSwap(pid: number | Ref<Actor>, handler: Handler, options?: SwapOptions): number;
  /** Replaces a class; what becomes of the instance is for `migrate` to say. */
  hotSwap<New extends Actor, Old extends Actor = Actor>(actor: Ref<Old> | number, type: new (...args: never[]) => New, options?: ClassSwapOptions<Old, New>): number;
  /** The number of the handler in force, 1 for the original; `null` if nobody has the pid. */
  behaviorVersion(pid: number): number | null;
  /**
   * Goes back to the handler before the last `steps` swaps, 1 by default, behind what is queued; its number. The original
   * and 15 others are kept. Throws a RangeError if there is none so far back, `DeadActorError` if nobody has the pid.
   */
  rollbackBehavior(pid: number, steps?: number): number;

  /**
   * Whether it was accepted. Throws WouldBlockError where `sendAsync` would wait. What
   * `AsyncLocalStorage` has here, the handler sees.
   */
  send(pid: number, data: Data): boolean;
  /**
   * How many were accepted: ends with the first that is not. Throws a TypeError at the first that is no message; those
   * before it are sent.
   */
  sendMany(pid: number, items: Iterable<Data>): number;
  /** As `send`, to who has the name; `false` if nobody has. */
  sendNamed(name: string, data: Data): boolean;
  /** As `send`, but waits for room where the policy of a full mailbox is `block`. */
  sendAsync(pid: number, data: Data): Promise<boolean>;
  /**
   * Sends in `ms` milliseconds; the number of the timer, which ends with the actor. Throws `DeadActorError` if nobody has
   * the pid.
   */
  sendAfter(pid: number, ms: number, data: Data): number;
  /**
   * Sends every `ms` milliseconds, 1 at least. While one message waits no other is sent, and missed ones are not made up
   * for. The number of the timer.
   */
  sendInterval(pid: number, ms: number, data: Data): number;
  /** Whether the timer was still to fire. */
  cancelTimer(id: number): boolean;
  /**
   * Sends a question; what the handler returns for it, as bytes: nothing is an empty `Buffer`. Rejects with
   * `AskTimeoutError` after `timeoutMs`, 5,000 by default, with the reason of `signal`, and with `DeadActorError`,
   * `MailboxFullError`, `NoReplyError`, `HandlerError` if the handler throws, and `DeadlockError` where actors would wait
   * for each other in a circle, which a handler is known to ask in before its first `await`, or by `from`.
   */
  ask(pid: number, data: Data, options?: AskOptions): Promise<Buffer>;
  /**
   * What becomes of messages that find a bounded mailbox full; `target` is for `redirect` and `spill`. Throws a RangeError
   * for one without a bound, and for circles.
   */
  setOverflowPolicy(pid: number, policy: OverflowPolicy | (string & {}), target?: number | null): void;
  /** Messages that the handler has not been called with. */
  mailboxSize(pid: number): number | null;

  /** Gives an actor a name, of 1 to 255 bytes. Throws `NameTakenError` if another has it. */
  register(name: string, pid: number): void;
  /** Whether somebody had it. */
  unregister(name: string): boolean;
  /** Who has the name. */
  whereis(name: string): number | null;
  /** As `whereis`. */
  resolve(name: string): number | null;
  /** Gives an actor a path such as `/site/room/sensor`. Throws `NameTakenError` if another has it. */
  registerPath(path: string, pid: number): void;
  /** Whether somebody had it. */
  unregisterPath(path: string): boolean;
  /** Who has the path. */
  whereisPath(path: string): number | null;
  /** The live actors below a path at any depth, by path. */
  listChildren(prefix: string): PathEntry[];
  /** The live actors exactly one level below a path, by path. */
  listChildrenDirect(prefix: string): PathEntry[];
  /**
   * Has the global supervisor watch the actors that are registered exactly one level below `prefix` now; how many it did
   * not know. Watched ones are listed, never restarted.
   */
  watchPath(prefix: string): number;

  /** Makes a supervisor for a path. Throws a RangeError if that has one already. */
  createPathSupervisor(path: string): void;
  /** Ends the supervisor of a path and whom it would restart; whom it only watched goes on. Whether there was one. */
  removePathSupervisor(path: string): boolean;
  /** Has the supervisor of a path watch an actor, which is never restarted; whether it did not. Throws `NoSupervisorError`. */
  pathSupervisorWatch(path: string, pid: number): boolean;
  /** Whom it restarts, and then whom it watches. Throws `NoSupervisorError`. */
  pathSupervisorChildren(path: string): number[];
  /** As `superviseWithFactory`, by the supervisor of a path. Throws `NoSupervisorError`. */
  pathSuperviseWithFactory(path: string, pid: number, factory: Factory, strategy?: Strategy | (string & {}), options?: { restart?: Restart }): void;
  /**
   * Has an actor restarted when it ends: `factory()` spawns a successor, whose pid it returns, or a promise of it; names
   * and paths lead to that then. `strategy` says who is restarted: `restartone`, the default, `restartall` whom the
   * supervisor has, `restartrest` it and those taken on after it. `restart` says when: `permanent`, the default, after any
   * exit, `transient` after failures, `temporary` never. One that ends more than 3 times in 5 s is given up.
   */
  superviseWithFactory(pid: number, factory: Factory, strategy?: Strategy | (string & {}), options?: { restart?: Restart }): void;
  /** Whom the global supervisor restarts, and then whom it watches. */
  childPids(): number[];
  /** How many those are. */
  childrenCount(): number;
  /** Has an actor told of restarts (RESTARTED) and of those that are given up (GAVE_UP). */
  watchSupervision(pid: number): void;

  /**
   * Has each of two told with an EXIT when the other ends, for whatever reason; with `propagate` the one that is left
   * ends too, for the same reason, unless that is `normal` or it traps exits. `false` for an actor and itself.
   */
  link(a: number, b: number, options?: { propagate?: boolean }): boolean;
  /** Whether they were linked. */
  unlink(a: number, b: number): boolean;
  /**
   * Has `watcher` told with one DOWN when `pid` ends, at once if it has; the monitor's number. Throws `DeadActorError` if
   * nobody has the watcher's pid.
   */
  monitor(watcher: number, pid: number): number;
  /** Whether the DOWN had not come yet; it does not come any more. */
  demonitor(reference: number): boolean;
  /** Whether exits of linked actors come as messages only. */
  trapExit(pid: number, traps?: boolean): void;
  /** Whether it was no member yet. Members leave when they end. */
  joinGroup(group: string, pid: number): boolean;
  /** Whether it was a member. */
  leaveGroup(group: string, pid: number): boolean;
  /** In the order of joining. */
  members(group: string): number[];
  /** Sends to each member in the order of joining; how many took it. Never waits. */
  publish(group: string, data: Data): number;
  /**
   * What an observer has kept, oldest first; it forgets that unless `drain` is false. Throws a RangeError for others.
   */
  getMessages(pid: number, options?: { drain?: boolean }): Message[];
  /**
   * Takes the first message of an observer for which `matcher` is true; `null` if none came within
   * `seconds`. Rejects with what the matcher throws, and with MailboxClosed when the observer ends.
   */
  selectiveRecv(pid: number, matcher: (message: Message) => boolean, seconds?: number): Promise<Message | null>;
  /** How many messages an observer had no room for; `null` for others. */
  observerDropped(pid: number): number | null;

  /** What is known of an actor; `null` if nobody has the pid. */
  info(pid: number): Info | null;
  /** All actors. Costs a walk over them. */
  tree(): Tree;
  /** Counts of the whole runtime. */
  stats(): Stats;
  /** Messages so far that nobody will handle. */
  deadLetters(): number;
  /** Called with each dead letter from now on, 10,000 that wait at most; `null` ends that. */
  onDeadLetter(hook: ((letter: DeadLetter) => void) | null): void;
  /**
   * Has handlers told of that are at one message for so many seconds, of 0.001 at least; `null`: none. One that keeps
   * the event loop is told of on stderr while it does, one that awaits by an `IrisWatchdogWarning` of the process;
   * again after twice the time. It is seen up to a quarter too late.
   */
  setWatchdog(seconds: number | null): void;
  /** Called with each handler that throws; without a hook that is printed. */
  onCrash(hook: ((crash: Crash) => void) | null): void;
  /** The version of the package. */
  version(): string;

  /** Says how the node is to be, before the first call that needs it. Throws after that. */
  configureMesh(options: MeshOptions): void;
  /** The address that was bound: port 0 is welcome. `tls` and `expose` as for `configureMesh`. */
  listen(addr: string, options?: { tls?: TlsFiles; insecure?: boolean; expose?: 'named' | 'all' }): Promise<string>;
  /** Changes the rules of `configureMesh`; `null`: there are none. */
  setMeshAcl(rules: MeshRule[] | null): void;
  /** Changes who is refused. Connections with peers that are refused now end at once. */
  setMeshDeny(peers: string[]): void;
  /** How often a peer wanted what it may not have. */
  meshDenied(): number;
  /**
   * Reads the certificates again, or others, for connections from now on. Throws a RangeError if
   * they cannot be used, and nothing has changed then.
   */
  reloadTls(tls?: TlsFiles): void;
  /** The pid of the local actor that stands for who has the name there. */
  resolveRemote(addr: string, name: string): Promise<number | null>;
  /** Sends to an actor of another node; whether it was accepted on its way. Rejects with `MeshError`. */
  sendRemote(addr: string, pid: number, data: Data): Promise<boolean>;
  /**
   * As `monitor`, for an actor of another node; in a handler that is the watcher by default. A lost node is a DOWN with
   * the reason `noconnection`.
   */
  monitorRemote(addr: string, pid: number, watcher?: number): Promise<number>;
  /** Whether a node answers at the address, dialled if there is no connection. */
  isNodeUp(addr: string): Promise<boolean>;
  /**
   * Joins a mesh that one of the seeds is in; this node must `listen` already. `true` once another member is known, `false`
   * if there is none within `connectTimeout`, 5 s, or this node is the only seed: they are tried on until they answer.
   * With `swim`, the default, members tell each other of third ones; with `static` the seeds are all that there is; with
   * `nats`, which needs `configureMesh({ nats })`, nodes announce themselves and seeds may be `[]`. Rejects with
   * `MeshError`.
   */
  joinMesh(seeds: string | string[], options?: { membership?: 'swim' | 'static' | 'nats' }): Promise<boolean>;
  /**
   * Who has the name anywhere in the mesh, as far as this node has heard: a pid to send to, ask, monitor. With `seconds` it
   * waits for that long until somebody has.
   */
  lookup(name: string): number | null;
  lookup(name: string, seconds: number): Promise<number | null>;
  /**
   * Makes a behavior that other nodes can start here with `spawnOn`, if `allowSpawn` of `configureMesh` lets them.
   * `factory(init)` gets the bytes that come with the order, and returns the pid of what it has spawned, or a promise of
   * it. `false` if another was registered by that name, which is replaced.
   */
  registerBehavior(name: string, factory: (init: Buffer) => number | Ref<Actor> | Promise<number | Ref<Actor>>): boolean;
  /** Has another node spawn an actor by the name of a behavior; its pid. Rejects with `MeshError`. */
  spawnOn(addr: string, behavior: string, init?: Data): Promise<number>;
  /** The members of the mesh that this node knows, without itself. */
  meshMembers(): { id: string; address: string }[];
  /** The nodes that there are sessions with. */
  nodes(): { id: string; name: string }[];
  /**
   * Has an actor told with NODE_UP, NODE_DOWN, NODE_STALLED or NODE_MOVING when something happens to another node, and
   * NAME_CONFLICT when two have given the same name; with `heartbeats` also with a HEARTBEAT for each sign of life. `false`
   * if it is so already.
   */
  watchNodes(pid: number, options?: { heartbeats?: boolean }): boolean;
  /** Lets other nodes send to an actor that has no name here. */
  export(pid: number): void;

  /**
   * Keeps the process alive. By itself a runtime does so while messages are queued or being
   * handled, timers, questions and other promises are pending, or it listens.
   */
  ref(): this;
  /**
   * Has the process end whatever there is to do; a turn of actors that receive is still made. What
   * is queued then is neither handled nor told of: `await rt.shutdown()` first where that matters.
   */
  unref(): this;
  /** Handles what is queued for up to `drain` seconds, 2 by default, then ends all actors. */
  shutdown(drain?: number): Promise<ShutdownReport>;
  [Symbol.asyncDispose](): Promise<void>;
}

export function version(): string;

/**
 * Makes a certificate and a key for a node in `folder`, signed by the authority there, which is made
 * if there is none: what `tls` of `configureMesh` takes. Writes files before it returns.
 *
 * For development, and for clusters without an authority of their own: whoever has
 * `authority-key.pem` can be any node, so keep it off the nodes. The certificate says
 * `iris://CLUSTER/NODE` and the hosts.
 */
export function makeCertificates(
  folder: string | URL,
  node: string,
  options?: CertificateOptions,
): { ca: string; cert: string; key: string };

/** The value as msgpack. Throws `CodecError` for what cannot travel, and says where it is. */
export function pack(value: unknown): Buffer;

/** The value that `pack`, here or in another language, made these bytes of. */
export function unpack(data: Data): unknown;

/**
 * Has errors of this class that actors throw, here and on other nodes, thrown as it by `ask`: with
 * its `message` and its enumerable properties, and without a call of its constructor. `name` is the
 * class's own by default; `module.Class` is a class of another language.
 */
export function registerError(
  type: abstract new (...args: never[]) => Error,
  name?: string,
): void;

/** What all errors of the package are. */
export class IrisError extends Error {}
/** No actor with this pid is alive. */
export class DeadActorError extends IrisError {}
/** The name belongs to somebody else. */
export class NameTakenError extends IrisError {}
/** No answer came in time. */
export class AskTimeoutError extends IrisError {}
/** No answer came in time. */
export const AskTimeout: typeof AskTimeoutError;
export type AskTimeout = AskTimeoutError;
/** Actors would wait for each other, or one for itself. */
export class DeadlockError extends IrisError {}
/** The actor took the question and did not answer. */
export class NoReplyError extends IrisError {}
/** The handler failed over the question. */
export class HandlerError extends IrisError {}
/**
 * The handler failed, and has said how in bytes of its language: `answer`. Handlers in Python do, and
 * methods of actor classes, whose errors `ref.ask` throws as what they are.
 */
export class RejectedError extends HandlerError {
  constructor(message: string, answer: Buffer);
  readonly answer: Buffer;
}
/** The mailbox is full and refuses what does not fit. */
export class MailboxFullError extends IrisError {}
/** The mailbox is full, and the event loop cannot wait for room. */
export class WouldBlockError extends IrisError {}
/** The actor was told to stop. May leave an actor's function unnoticed: it is a quiet end. */
export class MailboxClosed extends IrisError {}
/** The path has no supervisor. */
export class NoSupervisorError extends IrisError {}
/** Another node cannot be reached, or this one cannot be. */
export class MeshError extends IrisError {}
/** The runtime has been shut down. */
export class ShutDownError extends IrisError {}
/** A value cannot travel in a message; the text says which and where it is. */
export class CodecError extends IrisError {}
/** Bytes are not the message that they should be, or name a method that may not be called. */
export class ProtocolError extends IrisError {}
/** An actor failed with an error that the asker has no class for. */
export class RemoteError extends IrisError {
  constructor(typeName: string, message: string, traceback?: string, details?: unknown);
  /** What the error is called where it was thrown. */
  readonly typeName: string;
  /** Where it happened, as its language prints that. */
  readonly traceback: string;
  /** What else it had: properties of JavaScript's, the arguments of Python's. */
  readonly details: unknown;
}
/** The cause of an error that came from an actor: where in the actor it was thrown. */
export class RemoteTraceback extends IrisError {
  constructor(pid: number, traceback: string);
}
