%% The workloads of `cargo xtask bench python` on Erlang processes. Called with the name of
%% a workload, how much is to be done and a second size; prints the seconds that it took until the
%% last message had been handled and, for `spawn`, the bytes that one process holds.
-module(workloads).
-behaviour(gen_server).
-export([main/1, init/1, handle_call/3, handle_cast/2]).

main([Workload, N, Size]) ->
    {Seconds, Bytes} =
        run(list_to_atom(Workload), list_to_integer(N), list_to_integer(Size)),
    io:format("~.9f ~w~n", [Seconds, Bytes]),
    halt(0).

payload() -> binary:copy(<<"x">>, 32).

run(tell, N, _) ->
    Main = self(),
    Counter = spawn(fun() -> count(N, Main) end),
    timed(fun() -> tell(Counter, payload(), N) end);
run(batch, N, Size) ->
    %% Erlang has no batches: the same as tell.
    run(tell, N, Size);
run(ping_pong, N, _) ->
    Main = self(),
    Pong = spawn(fun pong/0),
    Ping = spawn(fun() -> receive go -> ping(Pong, N), Main ! finished end end),
    timed(fun() -> Ping ! go end);
run(ring, Hops, Members) ->
    Main = self(),
    Last = spawn(fun() -> receive {next, Next} -> member(Next, Main) end end),
    First = lists:foldl(
        fun(_, Next) -> spawn(fun() -> member(Next, Main) end) end,
        Last,
        lists:seq(2, Members)
    ),
    Last ! {next, First},
    timed(fun() -> First ! {Hops, payload()} end);
run(fan_out, N, Actors) ->
    Main = self(),
    Rounds = N div Actors,
    Pids = [spawn(fun() -> count(Rounds, Main) end) || _ <- lists:seq(1, Actors)],
    timed(fun() -> fan_out(Pids, payload(), Rounds) end, Actors);
run(spawn, N, _) ->
    Before = erlang:memory(total),
    Start = erlang:monotonic_time(nanosecond),
    Pids = [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, N)],
    Seconds = (erlang:monotonic_time(nanosecond) - Start) / 1.0e9,
    Bytes = (erlang:memory(total) - Before) / N,
    [Pid ! stop || Pid <- Pids],
    {Seconds, Bytes};
run(ask, N, _) ->
    Main = self(),
    {ok, Server} = gen_server:start(?MODULE, [], []),
    Asker = spawn(fun() -> receive go -> ask(Server, payload(), N), Main ! finished end end),
    timed(fun() -> Asker ! go end).

timed(Go) -> timed(Go, 1).

timed(Go, Finishers) ->
    erlang:garbage_collect(),
    Start = erlang:monotonic_time(nanosecond),
    Go(),
    [receive finished -> ok end || _ <- lists:seq(1, Finishers)],
    {(erlang:monotonic_time(nanosecond) - Start) / 1.0e9, none}.

tell(_, _, 0) -> ok;
tell(Pid, Message, N) -> Pid ! Message, tell(Pid, Message, N - 1).

count(0, Main) -> Main ! finished;
count(N, Main) -> receive _ -> count(N - 1, Main) end.

ping(_, 0) -> ok;
ping(Pong, N) -> Pong ! {self(), payload()}, receive _ -> ping(Pong, N - 1) end.

pong() -> receive {From, Message} -> From ! Message, pong() end.

member(Next, Main) ->
    receive
        {1, _} -> Main ! finished, member(Next, Main);
        {Left, Message} -> Next ! {Left - 1, Message}, member(Next, Main)
    end.

fan_out(_, _, 0) -> ok;
fan_out(Pids, Message, Rounds) ->
    [Pid ! Message || Pid <- Pids],
    fan_out(Pids, Message, Rounds - 1).

ask(_, _, 0) -> ok;
ask(Server, Message, N) ->
    Message = gen_server:call(Server, Message),
    ask(Server, Message, N - 1).

init([]) -> {ok, none}.

handle_call(Message, _, State) -> {reply, Message, State}.

handle_cast(_, State) -> {noreply, State}.
