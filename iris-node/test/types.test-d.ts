// What must compile, and what must not: `npm run test:types`, or the step `node` of
// `cargo xtask test`. Nothing of it is run.

import * as iris from '..';
import {
  Actor, Mailbox, Message, NodeRuntime, Ref, RemoteError, STOP, SystemMessage,
} from '..';

/** Whether two types are the same, and none is `any`. */
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
declare function expect<A>(): { toBe<B>(same: Same<A, B>): void };

class Counter extends Actor {
  private secret = 1;
  field = (k: number): number => k;

  constructor(protected n: number, public label?: string) {
    super();
  }

  add(k: number): number {
    this.n += k * this.secret;
    return this.n;
  }

  async later(k: number, by?: string): Promise<string> {
    return `${k} ${by} ${this._hidden()} ${this.guarded()}`;
  }

  nothing(): void {}

  perhaps(): string | undefined {
    return this.label;
  }

  bytes(data: Uint8Array): Uint8Array {
    return data;
  }

  nested(): { at: Map<string, Uint8Array>; pair: [bigint, boolean?] } {
    return { at: new Map(), pair: [1n] };
  }

  numbered(): Map<number, string> {
    return new Map();
  }

  date(): Date {
    return new Date(0);
  }

  quits(): typeof STOP | number {
    return STOP;
  }

  rest(first: string, ...others: number[]): number {
    return first.length + others.length;
  }

  anything(value: unknown): unknown {
    return value;
  }

  options(options: { retries: number }): number {
    return options.retries;
  }

  _hidden(): number {
    return 0;
  }

  protected guarded(): number {
    return this.secret;
  }

  own(): void {
    expect<ReturnType<() => NodeRuntime>>().toBe<typeof this.rt>(true);
    void this.ref.pid;
  }

  override onSystem(message: SystemMessage): void {
    void message.typeName;
  }
}

class CounterV2 extends Actor {
  n = 0;

  add(k: number): string {
    return String(k);
  }
}

async function classes(rt: NodeRuntime, controller: AbortController): Promise<void> {
  const ref = rt.spawn(Counter, 3);
  expect<typeof ref>().toBe<Ref<Counter>>(true);
  rt.spawn(Counter, 3, 'label');
  // @ts-expect-error the constructor needs a number
  rt.spawn(Counter);
  // @ts-expect-error and not a string
  rt.spawn(Counter, '3');
  // @ts-expect-error no third argument
  rt.spawn(Counter, 3, 'label', 1);
  // @ts-expect-error the base is no class of an actor
  rt.spawn(Actor);
  // @ts-expect-error a class that is not derived from Actor
  rt.spawn(Map, 3);

  const other = rt.spawnActor(Counter, [3], { name: 'counter', parent: ref.pid, budget: 10 });
  expect<typeof other>().toBe<Ref<Counter>>(true);
  // @ts-expect-error arguments in an array
  rt.spawnActor(Counter, 3);
  // @ts-expect-error no such option
  rt.spawnActor(Counter, [3], { nam: 'counter' });
  // @ts-expect-error one of two words
  rt.spawnActor(Counter, [3], { onError: 'ignore' });

  expect<typeof ref.pid>().toBe<number>(true);
  const pid: number = Number(ref);
  expect<ReturnType<typeof rt.refTo<Counter>>>().toBe<Ref<Counter>>(true);
  const found = rt.refTo(pid, Counter);

  const sum = await ref.ask('add', 2);
  expect<typeof sum>().toBe<number>(true);
  await ref.ask('add', 2, { timeoutMs: 100, signal: controller.signal });
  await found.ask('add', 2, { kwargs: { k: 2 } });
  // @ts-expect-error no such method
  await ref.ask('sub', 2);
  // @ts-expect-error an argument is missing
  await ref.ask('add');
  // @ts-expect-error and options are none
  await ref.ask('add', { timeoutMs: 100 });
  // @ts-expect-error the argument is a number
  await ref.ask('add', '2');
  // @ts-expect-error one argument
  await ref.ask('add', 2, 3);
  // @ts-expect-error a time is a number
  await ref.ask('add', 2, { timeoutMs: '100' });
  // @ts-expect-error no such option
  await ref.ask('add', 2, { timeout: 100 });
  // @ts-expect-error it has a leading underscore
  await ref.ask('_hidden');
  // @ts-expect-error protected
  await ref.ask('guarded');
  // @ts-expect-error of the base
  await ref.ask('onSystem', null);
  // @ts-expect-error likewise
  await ref.ask('onStop');
  // @ts-expect-error not a method
  await ref.ask('label');
  // @ts-expect-error not a method
  await ref.ask('constructor');
  // @ts-expect-error the answer is a number
  const text: string = await ref.ask('add', 2);
  void text;

  const later = await ref.ask('later', 1);
  expect<typeof later>().toBe<string>(true);
  await ref.ask('later', 1, 'me');
  await ref.ask('later', 1, 'me', { timeoutMs: 10 });
  await ref.ask('later', 1, undefined, { timeoutMs: 10 });
  // @ts-expect-error what is optional is given before options
  await ref.ask('later', 1, { timeoutMs: 10 });

  expect<Awaited<ReturnType<typeof nothing>>>().toBe<null>(true);
  function nothing() {
    return ref.ask('nothing');
  }
  const perhaps = await ref.ask('perhaps');
  expect<typeof perhaps>().toBe<string | null>(true);
  const bytes = await ref.ask('bytes', new Uint8Array(3));
  expect<typeof bytes>().toBe<Buffer>(true);
  const nested = await ref.ask('nested');
  expect<typeof nested.at>().toBe<{ [key: string]: Buffer }>(true);
  expect<(typeof nested.pair)[0]>().toBe<bigint | number>(true);
  const numbered = await ref.ask('numbered');
  expect<typeof numbered>().toBe<Map<number, string> | { [key: string]: string }>(true);
  const date = await ref.ask('date');
  expect<typeof date>().toBe<never>(true);
  const quits = await ref.ask('quits');
  expect<typeof quits>().toBe<number | null>(true);
  const rest = await ref.ask('rest', 'a', 1, 2, 3);
  expect<typeof rest>().toBe<number>(true);
  // @ts-expect-error numbers follow
  await ref.ask('rest', 'a', 'b');
  const anything = await ref.ask('anything', { any: 'thing' });
  expect<typeof anything>().toBe<unknown>(true);
  await ref.ask('options', { retries: 3 }, { timeoutMs: 10 });

  ref.tell('add', 1);
  expect<ReturnType<typeof ref.tell>>().toBe<void>(true);
  // @ts-expect-error no options: nothing is waited for
  ref.tell('add', 1, { timeoutMs: 1 });
  // @ts-expect-error no such method
  ref.tell('sub', 1);
  rt.sendAfter(ref.pid, 10, ref.pack('add', 1));
  // @ts-expect-error the argument is a number
  ref.pack('add', '1');
  // @ts-expect-error a Ref is no number; its pid is
  rt.send(ref, 'x');
  // @ts-expect-error the pid stays what it is
  ref.pid = 3;

  const version = rt.hotSwap(ref, CounterV2, { migrate: (old) => ({ n: old.label?.length }) });
  expect<typeof version>().toBe<number>(true);
  rt.hotSwap(ref, CounterV2, { now: true });
  // @ts-expect-error the fields are an object's
  rt.hotSwap(ref, CounterV2, { migrate: () => 3 });
  // @ts-expect-error the old class has no such field
  rt.hotSwap(ref, CounterV2, { migrate: (old) => ({ n: old.count }) });
}

async function functions(rt: NodeRuntime): Promise<void> {
  const pid = rt.spawn((message, own) => {
    expect<typeof message>().toBe<Buffer>(true);
    expect<typeof own>().toBe<number>(true);
    return message.length > 3 ? STOP : message;
  }, 10, { name: 'echo', capacity: 3 });
  expect<typeof pid>().toBe<number>(true);
  rt.spawn(async () => 'text', { onError: 'resume' });
  rt.spawn((message) => {
    expect<typeof message>().toBe<Buffer | SystemMessage>(true);
  }, 10, { system: true });
  const list: Buffer[] = [];
  rt.spawn((message) => list.push(message));
  // @ts-expect-error a handler gets bytes
  rt.spawn((message: string) => message);
  // @ts-expect-error a budget is a number
  rt.spawn(() => {}, '10');

  expect<ReturnType<typeof rt.send>>().toBe<boolean>(true);
  rt.send(pid, 'text');
  rt.send(pid, new Float64Array(2));
  // @ts-expect-error a number has no bytes
  rt.send(pid, 3);
  // @ts-expect-error a pid is a number
  rt.send('echo', 'text');
  const answer = await rt.ask(pid, 'x', { timeoutMs: 1, from: pid });
  expect<typeof answer>().toBe<Buffer>(true);
  expect<ReturnType<typeof rt.whereis>>().toBe<number | null>(true);
  // @ts-expect-error it may be nobody
  rt.send(rt.whereis('echo'), 'x');
  rt.setOverflowPolicy(pid, 'block');
  // @ts-expect-error a target is a pid
  rt.setOverflowPolicy(pid, 'redirect', 'echo');

  rt.spawnWithMailbox(async (mailbox) => {
    expect<typeof mailbox>().toBe<Mailbox>(true);
    const first = await mailbox.recv();
    expect<typeof first>().toBe<Message>(true);
    const second = await mailbox.recv(5);
    expect<typeof second>().toBe<Message | null>(true);
    // @ts-expect-error there may be none in time
    void second.data;
    for await (const { data, system } of mailbox) {
      expect<typeof data>().toBe<Buffer>(true);
      if (system?.typeName === 'EXIT') void system.metadata?.stack;
      // @ts-expect-error no such message
      if (system?.typeName === 'EXITS') return;
    }
  });
  // @ts-expect-error only the runtime makes mailboxes
  void new Mailbox();
  const local = rt.lookup('name');
  expect<typeof local>().toBe<number | null>(true);
  const remote = rt.lookup('name', 3);
  expect<typeof remote>().toBe<Promise<number | null>>(true);
  expect<Awaited<ReturnType<typeof rt.shutdown>>>().toBe<iris.ShutdownReport>(true);
}

async function errors(rt: NodeRuntime, ref: Ref<Counter>): Promise<void> {
  class PaymentError extends Error {
    constructor(readonly code: number) {
      super('no money');
    }
  }
  iris.registerError(PaymentError);
  iris.registerError(PaymentError, 'shop.PaymentError');
  // @ts-expect-error no class of errors
  iris.registerError(Counter);
  try {
    await ref.ask('add', 1);
  } catch (error) {
    if (error instanceof RemoteError) void error.traceback.length;
    if (error instanceof iris.AskTimeout) expect<typeof error>().toBe<iris.AskTimeoutError>(true);
    if (error instanceof iris.RejectedError) void error.answer.length;
  }
  expect<ReturnType<typeof iris.pack>>().toBe<Buffer>(true);
  expect<ReturnType<typeof iris.unpack>>().toBe<unknown>(true);
  expect<ReturnType<typeof iris.version>>().toBe<string>(true);
  const disposable: AsyncDisposable = rt;
  void disposable;
}

void [classes, functions, errors];

async function mesh(rt: NodeRuntime): Promise<void> {
  const tls = iris.makeCertificates(new URL('file:///tmp'), 'node', { cluster: 'c', hosts: ['localhost'], days: 1 });
  rt.configureMesh({ tls, acl: [{ peers: '*', send: true, resolve: ['public.'] }], deny: ['web-*'], maxLinks: 8 });
  const addr = await rt.listen('127.0.0.1:0', { tls });
  expect<typeof addr>().toBe<string>(true);
  rt.setMeshAcl(null);
  rt.setMeshDeny([]);
  rt.reloadTls();
  const denied = rt.meshDenied();
  expect<typeof denied>().toBe<number>(true);
  // @ts-expect-error no such right
  rt.setMeshAcl([{ peers: '*', sned: true }]);
  // @ts-expect-error whom it is for
  rt.setMeshAcl([{ send: true }]);
  // @ts-expect-error three files
  rt.reloadTls({ ca: 'a', cert: 'b' });
  // @ts-expect-error a name or several
  rt.setMeshDeny('web-*');
}

async function known(pid: number): Promise<void> {
  const rt = new NodeRuntime({ mailboxCapacity: 10 });
  // @ts-expect-error no such option
  new NodeRuntime({ capacity: 10 });
  const { deadLetters, actors } = rt.stats();
  expect<typeof deadLetters.evicted>().toBe<number>(true);
  expect<typeof actors>().toBe<number>(true);
  const found = await rt.selectiveRecv(pid, (message) => message.system !== undefined, 1);
  expect<typeof found>().toBe<Message | null>(true);
  const was = rt.unregister('name');
  expect<typeof was>().toBe<boolean>(true);
  for (const entry of rt.tree()) expect<typeof entry>().toBe<iris.TreeEntry>(true);
  rt.superviseWithFactory(pid, async () => rt.spawn(Counter, 3), 'restartone');
  // @ts-expect-error no pid
  rt.superviseWithFactory(pid, () => 'x');
  // @ts-expect-error made by the runtime only
  new iris.Tree('', []);
}
