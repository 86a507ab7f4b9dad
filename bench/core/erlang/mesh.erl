%% What `cargo xtask bench mesh` measures, between two Erlang nodes. Prints messages a second of
%% 32 bytes, bytes a second in messages of 64 KiB, and the median round trip in microseconds.
-module(mesh).
-export([serve/0, measure/1]).

serve() ->
    register(sink, self()),
    io:format("ready~n"),
    count(0).

count(N) ->
    receive
        {ask, From, Ref} -> From ! {Ref, N}, count(0);
        stop -> halt(0);
        _ -> count(N + 1)
    end.

measure([Runs, Small, Large, Trips]) ->
    Sink = {sink, 'sink@127.0.0.1'},
    true = connect(100),
    Median = fun(List) -> lists:nth(length(List) div 2 + 1, lists:sort(List)) end,
    Each = fun(Do) -> Median([Do() || _ <- lists:seq(1, number(Runs))]) end,
    Rates = [Each(fun() -> one_way(Sink, 32, number(Small)) end),
             65536 * Each(fun() -> one_way(Sink, 65536, number(Large)) end),
             Each(fun() -> Median([trip(Sink) || _ <- lists:seq(1, number(Trips))]) end)],
    io:format("~.3f ~.3f ~.3f~n", Rates),
    Sink ! stop,
    halt(0).

number(Atom) -> list_to_integer(atom_to_list(Atom)).

connect(0) -> false;
connect(Tries) ->
    case net_kernel:connect_node('sink@127.0.0.1') of
        true -> true;
        _ -> timer:sleep(50), connect(Tries - 1)
    end.

one_way(Sink, Size, N) ->
    Message = binary:copy(<<"x">>, Size),
    Start = erlang:monotonic_time(nanosecond),
    send(Sink, Message, N),
    N = ask(Sink),
    N / ((erlang:monotonic_time(nanosecond) - Start) / 1.0e9).

send(_, _, 0) -> ok;
send(Sink, Message, N) -> Sink ! Message, send(Sink, Message, N - 1).

trip(Sink) ->
    Start = erlang:monotonic_time(nanosecond),
    _ = ask(Sink),
    (erlang:monotonic_time(nanosecond) - Start) / 1000.

ask(Sink) ->
    Ref = make_ref(),
    Sink ! {ask, self(), Ref},
    receive {Ref, N} -> N end.
