@echo off
rem Installs RAID Manager for Windows. Run it as an administrator, from the unpacked folder:
rem
rem   install.cmd [DIR]
rem
rem Programs and commands go to %SystemDrive%\HORCM\etc, the shadow copy provider, where it is part
rem of this folder, to DIR\HITACHI\VSS Provider; DIR is "%ProgramFiles%" unless it is named, and has to
rem be a folder where only administrators can write. A second run replaces what is there;
rem configurations, keys and logs are kept.
rem
rem Exit 0 is success, 1 that nothing or not all was copied, 2 that the programs are installed and the
rem provider is not.
setlocal
set "FROM=%~dp0"
set "ROOT=%SystemDrive%\HORCM"
set "DRAFT=%windir%\HORCM.draft"
set "MARK=HKLM\SOFTWARE\RAID Manager"
set "DIR=%ProgramFiles%"
if not "%~1"=="" set "DIR=%~1"

rem Anybody may make folders below the root of a drive. So ours is made where only administrators can
rem make any, is given its owner and its access list there, and then moved; and what is at its place
rem already is believed only if it is the one that was noted where only administrators can write.
rmdir "%DRAFT%" 2>nul
mkdir "%DRAFT%" 2>nul
if errorlevel 1 goto refused
if exist "%ROOT%" goto known
call :protect "%DRAFT%"
if errorlevel 1 goto unprotected
move "%DRAFT%" "%ROOT%" >nul
if errorlevel 1 goto unmade
if exist "%ROOT%\HORCM.draft" goto foreign
call :identify
reg add "%MARK%" /v Root /t REG_SZ /d "%ID% %ROOT%" /f >nul
if errorlevel 1 goto unmade
goto copy

:known
rmdir "%DRAFT%"
for %%d in ("%ROOT%") do set "ATTRIBUTES=%%~ad"
if not "%ATTRIBUTES:l=%"=="%ATTRIBUTES%" goto linked
call :identify
set NOTED=
for /f "tokens=2,*" %%a in ('reg query "%MARK%" /v Root 2^>nul') do set "NOTED=%%b"
if /i not "%NOTED%"=="%ID% %ROOT%" goto foreign
call :protect "%ROOT%"
if errorlevel 1 goto unprotected

rem Nothing is run but what was unpacked or has just been copied.
:copy
pushd "%FROM%HORCM\etc"
for /f %%n in ('.\horcm.exe --list') do del /q "%ROOT%\etc\%%n.exe" 2>nul
popd
for %%d in ("%ROOT%\etc" "%ROOT%\etc\samples" "%ROOT%\Tool") do if not exist %%d mkdir %%d
copy /y "%FROM%HORCM\etc\*.exe" "%ROOT%\etc\" >nul
if errorlevel 1 goto failed
copy /y "%FROM%HORCM\etc\samples\*" "%ROOT%\etc\samples\" >nul
if errorlevel 1 goto failed
copy /y "%FROM%*.cmd" "%ROOT%\Tool\" >nul
if errorlevel 1 goto failed
copy /y "%FROM%*.vbs" "%ROOT%\Tool\" >nul
if errorlevel 1 goto failed
"%ROOT%\etc\horcm.exe" link "%ROOT%\etc"
if errorlevel 1 goto failed

if not exist "%FROM%HORCM\Tool\RMVSSPRV.dll" goto done
call "%FROM%provider.cmd" /install "%DIR%"
if errorlevel 1 goto without_provider
echo The provider is installed; `vssadmin list providers` names it.

:done
echo RAID Manager is installed in %ROOT%. Put %ROOT%\etc on the PATH, and configurations into %windir%: horcm50.conf for instance 50.
exit /b 0

:refused
echo install.cmd: run it as an administrator
exit /b 1

:linked
echo install.cmd: %ROOT% leads elsewhere: remove that link and run it again
exit /b 1

:foreign
rmdir "%ROOT%\HORCM.draft" 2>nul
echo install.cmd: %ROOT% was not made by install.cmd, and whoever made it may have put anything there: rename it, run this again, and copy what you know
exit /b 1

:unprotected
rmdir "%DRAFT%" 2>nul
echo install.cmd: the owner and the access list of %ROOT% could not be set, so nothing was copied
exit /b 1

:unmade
rmdir "%DRAFT%" 2>nul
rmdir "%ROOT%" 2>nul
echo install.cmd: %ROOT% could not be made, or not be noted in the registry
exit /b 1

:failed
echo install.cmd: a file could not be copied: end every instance with horcmshutdown and run it again
exit /b 1

:without_provider
echo install.cmd: the programs are installed, the provider is not
exit /b 2

rem Administrators and the system may write, users may read.
:protect
icacls "%~1" /setowner *S-1-5-32-544 >nul
if errorlevel 1 exit /b 1
icacls "%~1" /inheritance:r /grant:r "*S-1-5-32-544:(OI)(CI)F" "*S-1-5-18:(OI)(CI)F" "*S-1-5-32-545:(OI)(CI)RX" >nul
exit /b %errorlevel%

rem The number of the folder in its file system: one that is made in its place has another.
:identify
set ID=none
for /f "tokens=*" %%i in ('fsutil file queryfileid "%ROOT%" 2^>nul ^| find "0x"') do for %%n in (%%i) do set "ID=%%n"
exit /b 0
