%% What `cargo xtask bench supervise` measures, with OTP: a process that exits
%% under a supervisor, until its successor is registered. Prints the median in microseconds.
-module(restart).
-behaviour(supervisor).
-export([main/1, init/1, start_worker/1, worker/2]).

main(Crashes) ->
    process_flag(trap_exit, true),
    {ok, _} = supervisor:start_link(?MODULE, self()),
    receive up -> ok end,
    Took = [crash() || _ <- lists:seq(1, Crashes)],
    Median = lists:nth(length(Took) div 2 + 1, lists:sort(Took)),
    io:format("~.1f~n", [Median / 1000]).

crash() ->
    Start = erlang:monotonic_time(nanosecond),
    worker ! crash,
    receive up -> ok end,
    worker ! nothing,
    erlang:monotonic_time(nanosecond) - Start.

init(Bench) ->
    Flags = #{strategy => one_for_one, intensity => 1000000000, period => 1},
    Child = #{id => worker, start => {?MODULE, start_worker, [Bench]}},
    {ok, {Flags, [Child]}}.

start_worker(Bench) ->
    proc_lib:start_link(?MODULE, worker, [self(), Bench]).

worker(Supervisor, Bench) ->
    true = register(worker, self()),
    proc_lib:init_ack(Supervisor, {ok, self()}),
    Bench ! up,
    loop().

loop() ->
    receive
        crash -> exit(crashed);
        nothing -> loop()
    end.
