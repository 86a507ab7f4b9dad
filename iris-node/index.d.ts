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
  /** 5,000 by default; `Infinity`: for ever. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** The actor that asks, for seeing circles: by default the one whose handler is running. */
  from?: number;
}

export type OverflowPolicy = 'dropnew' | 'dropold' | 'redirect' | 'spill' | 'block';
export type Strategy = 'restartone' | 'restartall' | 'restartrest';
export type Restart = 'permanent' | 'transient' | 'temporary';

/** Spawns a successor and returns its pid. Names are reserved for it until the first `await`. */
/** Makes an actor: its pid, or a class's `Ref`. */
export type Factory = () => number | Ref<Actor> | Promise<number | Ref<Actor>>;

/** Times are in seconds. */
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
  /** 5,000 by default; `Infinity`: for ever. */
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
   * Rejects with `DeadActorError`, also when the actor ends with the question queued, `AskTimeout`,
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
  /** Spawns an actor that its first message activates, and that ends after so long without one. */
  spawnVirtual(handler: Handler, budget?: number, idleTimeoutMs?: number, options?: SpawnOptions & { reactivate?: boolean }): number;
  /** Spawns an actor that ends with `parent`. */
  spawnChild(parent: number, handler: Handler, budget?: number, options?: SpawnOptions): number;
  spawnChildPool(parent: number, handler: Handler, workers?: number, budget?: number): number[];
  /** Spawns an actor that receives: it ends when the function's promise does. */
  spawnWithMailbox(handler: (mailbox: Mailbox) => unknown, budget?: number, options?: { name?: string; capacity?: number }): number;
  spawnChildWithMailbox(parent: number, handler: (mailbox: Mailbox) => unknown, budget?: number, options?: { name?: string; capacity?: number }): number;
  /** Spawns an actor that keeps what it receives, 65,536 messages at most. */
  spawnWithPathObserved(budget: number, path: string, options?: { cap?: number }): number;

  /** Ends an actor; what is queued becomes dead letters, or with `drain` is handled first. */
  stop(pid: number, options?: { drain?: boolean }): boolean;
  /** Ends a supervised actor for good. */
  stopChild(pid: number): boolean;
  /** Waits for the end of an actor; `false` if it did not come within `seconds`. */
  join(pid: number, seconds?: number): Promise<boolean>;
  isAlive(pid: number): boolean;
  /** The actor whose handler or method is running; after an `await` in a plain handler it is not known any more. */
  self(): number | null;
  /** Replaces a handler, behind the messages that are queued, or with `now` before them. */
  hotSwap(pid: number | Ref<Actor>, handler: Handler, options?: SwapOptions): number;
  /** Replaces a class; what becomes of the instance is for `migrate` to say. */
  hotSwap<New extends Actor, Old extends Actor = Actor>(actor: Ref<Old> | number, type: new (...args: never[]) => New, options?: ClassSwapOptions<Old, New>): number;
  behaviorVersion(pid: number): number | null;
  rollbackBehavior(pid: number, steps?: number): number;

  /**
   * Whether it was accepted. Throws WouldBlockError where `sendAsync` would wait. What
   * `AsyncLocalStorage` has here, the handler sees.
   */
  send(pid: number, data: Data): boolean;
  /** How many were accepted: ends with the first that is not, or that is no message. */
  sendMany(pid: number, items: Iterable<Data>): number;
  sendNamed(name: string, data: Data): boolean;
  /** As `send`, waiting for room where the policy is `block`. */
  sendAsync(pid: number, data: Data): Promise<boolean>;
  /** The number of a timer. */
  sendAfter(pid: number, ms: number, data: Data): number;
  sendInterval(pid: number, ms: number, data: Data): number;
  cancelTimer(id: number): boolean;
  /** The answer: what the handler returns. */
  ask(pid: number, data: Data, options?: AskOptions): Promise<Buffer>;
  setOverflowPolicy(pid: number, policy: OverflowPolicy | (string & {}), target?: number | null): void;
  /** Messages that the handler has not been called with. */
  mailboxSize(pid: number): number | null;

  register(name: string, pid: number): void;
  /** Whether somebody had it. */
  unregister(name: string): boolean;
  whereis(name: string): number | null;
  resolve(name: string): number | null;
  registerPath(path: string, pid: number): void;
  unregisterPath(path: string): boolean;
  whereisPath(path: string): number | null;
  listChildren(prefix: string): PathEntry[];
  listChildrenDirect(prefix: string): PathEntry[];
  watchPath(prefix: string): number;

  createPathSupervisor(path: string): void;
  removePathSupervisor(path: string): boolean;
  pathSupervisorWatch(path: string, pid: number): boolean;
  pathSupervisorChildren(path: string): number[];
  pathSuperviseWithFactory(path: string, pid: number, factory: Factory, strategy?: Strategy | (string & {}), options?: { restart?: Restart }): void;
  superviseWithFactory(pid: number, factory: Factory, strategy?: Strategy | (string & {}), options?: { restart?: Restart }): void;
  childPids(): number[];
  childrenCount(): number;
  /** Has an actor told of restarts (RESTARTED) and of those that are given up (GAVE_UP). */
  watchSupervision(pid: number): void;

  link(a: number, b: number, options?: { propagate?: boolean }): boolean;
  unlink(a: number, b: number): boolean;
  /** `watcher` gets a DOWN when `pid` ends; the monitor's number. */
  monitor(watcher: number, pid: number): number;
  demonitor(reference: number): boolean;
  trapExit(pid: number, traps?: boolean): void;
  joinGroup(group: string, pid: number): boolean;
  leaveGroup(group: string, pid: number): boolean;
  members(group: string): number[];
  publish(group: string, data: Data): number;
  getMessages(pid: number, options?: { drain?: boolean }): Message[];
  /**
   * Takes the first message of an observer for which `matcher` is true; `null` if none came within
   * `seconds`. Rejects with what the matcher throws, and with MailboxClosed when the observer ends.
   */
  selectiveRecv(pid: number, matcher: (message: Message) => boolean, seconds?: number): Promise<Message | null>;
  observerDropped(pid: number): number | null;

  info(pid: number): Info | null;
  /** All actors. Costs a walk over them. */
  tree(): Tree;
  stats(): Stats;
  deadLetters(): number;
  onDeadLetter(hook: ((letter: DeadLetter) => void) | null): void;
  /**
   * Has handlers told of that are at one message for so many seconds, of 0.001 at least; `null`: none. One that keeps
   * the event loop is told of on stderr while it does, one that awaits by an `IrisWatchdogWarning` of the process;
   * again after twice the time. It is seen up to a quarter too late.
   */
  setWatchdog(seconds: number | null): void;
  /** Called with each handler that throws; without a hook that is printed. */
  onCrash(hook: ((crash: Crash) => void) | null): void;
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
  sendRemote(addr: string, pid: number, data: Data): Promise<boolean>;
  monitorRemote(addr: string, pid: number, watcher?: number): Promise<number>;
  isNodeUp(addr: string): Promise<boolean>;
  joinMesh(seeds: string | string[], options?: { membership?: 'swim' | 'static' | 'nats' }): Promise<boolean>;
  lookup(name: string): number | null;
  lookup(name: string, seconds: number): Promise<number | null>;
  registerBehavior(name: string, factory: (init: Buffer) => number | Ref<Actor> | Promise<number | Ref<Actor>>): boolean;
  spawnOn(addr: string, behavior: string, init?: Data): Promise<number>;
  meshMembers(): { id: string; address: string }[];
  nodes(): { id: string; name: string }[];
  watchNodes(pid: number, options?: { heartbeats?: boolean }): boolean;
  export(pid: number): void;

  /**
   * Keeps the process alive. By itself a runtime does so while messages are queued or being
   * handled, timers, questions and other promises are pending, or it listens.
   */
  ref(): this;
  /** Never keeps the process alive. */
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
